"""Colonnade shares one copy of a DataFrame among all processes of a machine.

>>> import colonnade as cn, pandas as pd
>>> snapshot = cn.put("docs/hello", pd.DataFrame({"x": [1.0, 2.0], "name": ["Ada", None]}))
>>> cn.get("docs/hello")                    # in any process: no copy, writable, private
     x name
0  1.0  Ada
1  2.0  NaN
>>> cn.delete("docs/hello")

``import colonnade`` loads what opens a table, which every process needs. What makes frames is loaded now if pandas is,
else by the first frame; pandas itself is never imported here. Other public names are imported when they are first used
(SPEC 1, lazy_loader). ``__init__.pyi`` has all of them for type checkers.
"""

import importlib
import sys
from collections.abc import Callable

import lazy_loader

__version__ = "0.2.0"
_CORE_INTERFACE = 3  # the core compares its own, in src/core/module.cpp, when it is imported below

from colonnade import displayed
from colonnade._names import TableInfo
from colonnade.default_store import (
    allocate,
    append,
    appender,
    attach,
    cache,
    check,
    copy,
    delete,
    dump,
    exists,
    follow,
    gc,
    get,
    info,
    latest,
    load,
    ls,
    open,
    put,
    rename,
    serve,
    share,
    sql,
    usage,
    versions,
    watch,
)
from colonnade.errors import (
    ColonnadeError,
    ConflictError,
    CorruptSnapshotError,
    DuplicateKeyError,
    InvalidDataError,
    InvalidNameError,
    LockTimeoutError,
    LogBusyError,
    NotASnapshotError,
    NotATableError,
    NotDurableError,
    NotFoundError,
    QueryError,
    ReentrantCallError,
    RemoteError,
    RowsDroppedError,
    StoreAccessError,
    StoreFullError,
    UnreadableFileError,
    UnsupportedTypeError,
    WaitTimeoutError,
)
from colonnade.snapshot import Snapshot
from colonnade.storage.settings import Settings
from colonnade.store import Store

if sys.modules.get("pandas") is not None:
    importlib.import_module("colonnade.format.read.table")

# The other public names, by the module that defines them.
__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "_allocate": ["DraftTable"],
        "_append": ["Appender"],
        "_by_reference.pickling": ["by_reference"],
        "_follow": ["Follow"],
        "_latest": ["Latest", "Look"],
        "_serve": ["Server"],
        "_watch": ["Watch"],
        "conversion.explain": ["explain"],
        "conversion.from_pandas": ["from_pandas"],
        "conversion.to_pandas": ["to_pandas"],
        "core.buffers": ["set_pool_limit"],
        "growing_snapshot": ["GrowingSnapshot"],
        "storage.check": ["Problem"],
        "storage.gc": ["Freed"],
        "storage.processes": ["Holder"],
        "storage.usage": ["SegmentUsage", "Usage"],
    },
)

__all__ = [
    "Appender",
    "ColonnadeError",
    "ConflictError",
    "CorruptSnapshotError",
    "DraftTable",
    "DuplicateKeyError",
    "Follow",
    "Freed",
    "GrowingSnapshot",
    "Holder",
    "InvalidDataError",
    "InvalidNameError",
    "Latest",
    "LockTimeoutError",
    "LogBusyError",
    "Look",
    "NotASnapshotError",
    "NotATableError",
    "NotDurableError",
    "NotFoundError",
    "Problem",
    "QueryError",
    "ReentrantCallError",
    "RemoteError",
    "RowsDroppedError",
    "SegmentUsage",
    "Server",
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
    "append",
    "appender",
    "attach",
    "by_reference",
    "cache",
    "check",
    "copy",
    "delete",
    "dump",
    "exists",
    "explain",
    "follow",
    "from_pandas",
    "gc",
    "get",
    "info",
    "latest",
    "load",
    "ls",
    "open",
    "put",
    "rename",
    "serve",
    "set_pool_limit",
    "share",
    "sql",
    "to_pandas",
    "usage",
    "versions",
    "watch",
]


def __dir__() -> list[str]:
    return __all__


def _load_summaries() -> Callable[[object], displayed.Renderable]:
    from colonnade.display.base import render

    return render


displayed.register(_load_summaries)
