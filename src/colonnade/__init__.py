"""Colonnade: one copy of a DataFrame, walked through by every process.

>>> import colonnade as cn, pandas as pd
>>> snapshot = cn.put("docs/hello", pd.DataFrame({"x": [1.0, 2.0], "who": ["Ada", None]}))
>>> cn.get("docs/hello")                    # in any process: no copy, writable, private
     x  who
0  1.0  Ada
1  2.0  NaN
>>> cn.delete("docs/hello")
"""

from typing import TYPE_CHECKING

from colonnade.default_store import (
    allocate,
    check,
    delete,
    dump,
    exists,
    gc,
    get,
    latest,
    load,
    ls,
    open,
    put,
    share,
    sql,
    usage,
    watch,
)
from colonnade.errors import (
    ColonnadeError,
    ConflictError,
    CorruptSnapshotError,
    InvalidNameError,
    NotASnapshotError,
    NotATableError,
    NotFoundError,
    QueryError,
    StoreAccessError,
    StoreFullError,
    UnreadableFileError,
    UnsupportedTypeError,
    WaitTimeoutError,
)
from colonnade.snapshot import Snapshot
from colonnade.storage.settings import Settings
from colonnade.store import Store, TableInfo

if TYPE_CHECKING:
    from colonnade._allocate import DraftTable
    from colonnade._by_reference.pickling import by_reference
    from colonnade._latest import Latest
    from colonnade._watch import Watch
    from colonnade.conversion.explain import explain
    from colonnade.conversion.from_pandas import from_pandas
    from colonnade.conversion.to_pandas import to_pandas
    from colonnade.core.buffers import set_pool_limit
    from colonnade.storage.check import Problem
    from colonnade.storage.gc import Freed
    from colonnade.storage.processes import Holder
    from colonnade.storage.usage import SegmentUsage, Usage

__version__ = "0.1.0"

__all__ = [
    "ColonnadeError",
    "ConflictError",
    "CorruptSnapshotError",
    "DraftTable",
    "Freed",
    "Holder",
    "InvalidNameError",
    "Latest",
    "NotASnapshotError",
    "NotATableError",
    "NotFoundError",
    "Problem",
    "QueryError",
    "SegmentUsage",
    "Settings",
    "Snapshot",
    "Store",
    "StoreAccessError",
    "StoreFullError",
    "TableInfo",
    "UnreadableFileError",
    "UnsupportedTypeError",
    "Usage",
    "WaitTimeoutError",
    "Watch",
    "__version__",
    "allocate",
    "by_reference",
    "check",
    "delete",
    "dump",
    "exists",
    "explain",
    "from_pandas",
    "gc",
    "get",
    "latest",
    "load",
    "ls",
    "open",
    "put",
    "set_pool_limit",
    "share",
    "sql",
    "to_pandas",
    "usage",
    "watch",
]


# What some calls give, and few programs name; imported when it is. To import all would take half as long again.
_LATER = {
    "DraftTable": "_allocate",
    "Freed": "storage.gc",
    "Holder": "storage.processes",
    "Latest": "_latest",
    "Problem": "storage.check",
    "SegmentUsage": "storage.usage",
    "Usage": "storage.usage",
    "Watch": "_watch",
    "by_reference": "_by_reference.pickling",
    "explain": "conversion.explain",
    "from_pandas": "conversion.from_pandas",
    "set_pool_limit": "core.buffers",
    "to_pandas": "conversion.to_pandas",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415 -- see above

    return getattr(importlib.import_module(f"colonnade.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return __all__
