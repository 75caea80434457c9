"""A table that is sent by reference: its message, the file that it leads to, and changes of it."""

import gc
import pickle
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pandas as pd

from colonnade.storage import paths

ROWS = 60_000


def send(table):
    """Send a table; returns the message, and the inode that it refers to (None if the table was pickled)."""
    before = inodes()
    message = bytes(ForkingPickler.dumps(table))
    added = inodes().items() - before.items()
    return message, {inode for _, inode in added}.pop() if added else None


def inodes():
    folder = paths.default_store() / ".segments"
    return {path.name: path.stat().st_ino for path in folder.glob("inflight-*")}


def receive(message):
    return pickle.loads(message)


def frame():
    """A frame with every kind of column that can be sent by reference."""
    n = ROWS
    return pd.DataFrame(
        {
            "x": np.arange(n, dtype="float64"),
            "y": np.arange(n, dtype="float64"),
            "i": np.arange(n, dtype="int32"),
            "b": np.zeros(n, bool),
            "s": pd.Series(["text", "more text than fits into twelve bytes"] * (n // 2), dtype="str"),
            "c": pd.Categorical(["red", "blue"] * (n // 2)),
            "m": pd.array([1, None] * (n // 2), "Int64"),
            "t": pd.date_range("2026", periods=n, freq="s"),
            "z": pd.date_range("2026", periods=n, freq="s", tz="Europe/Oslo"),
        },
        index=pd.Index(np.arange(n) * 2, name="k"),
    )


def _set(table, row, column, value):
    table.iat[row, table.columns.get_loc(column)] = value


def _replace_at_the_same_place(table):
    """Replace a column; the new one may get the memory of the old one."""
    del table["y"]
    gc.collect()
    table["y"] = np.full(ROWS, 7.0)


CHANGES = {
    "first value": lambda t: _set(t, 0, "x", -1.0),
    "a value in the middle": lambda t: _set(t, ROWS // 2, "y", -1.0),
    "last value": lambda t: _set(t, ROWS - 1, "y", -1.0),
    "a boolean": lambda t: _set(t, 3, "b", True),
    "text": lambda t: _set(t, 3, "s", "other"),
    "a category": lambda t: _set(t, 2, "c", "blue"),
    "a value that is masked": lambda t: _set(t, 3, "m", 5),
    "a null": lambda t: _set(t, 2, "m", pd.NA),
    "a time": lambda t: _set(t, 3, "t", pd.Timestamp("1999-01-01")),
    "a time with a zone": lambda t: _set(t, 3, "z", pd.Timestamp("1999-01-01", tz="Europe/Oslo")),
    "a value, through NumPy": lambda t: t["i"].array._ndarray.__setitem__(5, 9),
    "a name": lambda t: setattr(t, "columns", ["other", *t.columns[1:]]),
    "the name of the columns": lambda t: t.columns.set_names("other", inplace=True),
    "the name of the index": lambda t: t.index.set_names("other", inplace=True),
    "the index": lambda t: setattr(t, "index", t.index[::-1]),
    "another index": lambda t: setattr(t, "index", pd.RangeIndex(ROWS)),
    "attrs": lambda t: t.attrs.update(source="other"),
    "a list in attrs": lambda t: t.attrs["list"].append(2),
    "flags": lambda t: setattr(t.flags, "allows_duplicate_labels", False),
    "a new column": lambda t: t.insert(1, "new", 1.0),
    "a column less": lambda t: t.pop("y"),
    "a column for another": _replace_at_the_same_place,
    "another order": lambda t: t.__setitem__("x", t["x"].to_numpy()[::-1]),
    "other categories": lambda t: t.__setitem__("c", t["c"].cat.rename_categories({"red": "green"})),
}
