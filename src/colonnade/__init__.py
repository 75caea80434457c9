"""Colonnade: one copy of a DataFrame, walked through by every process.

>>> import colonnade as cn, pandas as pd
>>> snapshot = cn.put("docs/hello", pd.DataFrame({"x": [1.0, 2.0], "who": ["Ada", None]}))
>>> cn.get("docs/hello")                    # in any process: no copy, writable, private
     x  who
0  1.0  Ada
1  2.0  NaN
>>> cn.delete("docs/hello")
"""

from colonnade.api import Store, TableInfo
from colonnade.conversion import explain, from_pandas, set_pool_limit, to_pandas
from colonnade.default_store import allocate, check, delete, exists, gc, get, ls, open, put, usage
from colonnade.draft_table import DraftTable
from colonnade.errors import (
    ColonnadeError,
    ConflictError,
    CorruptSnapshotError,
    InvalidNameError,
    NotASnapshotError,
    NotATableError,
    NotFoundError,
    StoreAccessError,
    StoreFullError,
    UnreadableFileError,
    UnsupportedTypeError,
)
from colonnade.snapshot import Snapshot
from colonnade.store.check import Problem
from colonnade.store.cleaning import Freed
from colonnade.store.processes import Holder
from colonnade.store.settings import Settings
from colonnade.store.usage import SegmentUsage, Usage

__version__ = "0.1.0"

__all__ = [
    "ColonnadeError",
    "ConflictError",
    "CorruptSnapshotError",
    "DraftTable",
    "Freed",
    "Holder",
    "InvalidNameError",
    "NotASnapshotError",
    "NotATableError",
    "NotFoundError",
    "Problem",
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
    "__version__",
    "allocate",
    "check",
    "delete",
    "exists",
    "explain",
    "from_pandas",
    "gc",
    "get",
    "ls",
    "open",
    "put",
    "set_pool_limit",
    "to_pandas",
    "usage",
]
