"""Columns that stand in the names of folders, as ``year=2013/month=1/a.csv``.

PyArrow's datasets find them by themselves, with the same types. This is for files that no dataset reads: text, IPC
streams, and files in which several columns have one name. Does not depend on: how a file is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from urllib.parse import unquote

import pyarrow as pa

_NULL = "__HIVE_DEFAULT_PARTITION__"
_MOST = 2**31


def folder_columns(
    paths: Sequence[PurePath], types_by_name: Mapping[str, pa.DataType] = MappingProxyType({})
) -> list[dict[str, pa.Scalar]]:
    """Give the columns that the folders of each path name, and the value of each.

    A column has its type of ``types_by_name``. Without one it is of integers if all values are, and otherwise of text.
    """
    texts = [dict(_named(part) for part in path.parts[:-1] if "=" in part) for path in paths]
    types = {name: pa.int32() for text in texts for name in text}
    for text in texts:
        types |= {name: pa.string() for name, value in text.items() if not _is_integer(value)}
    types |= {name: arrow_type for name, arrow_type in types_by_name.items() if name in types}
    # An array is cast, because PyArrow does not cast a scalar to a dictionary.
    return [
        {name: pa.array([value], pa.string()).cast(types[name])[0] for name, value in text.items()} for text in texts
    ]


def _named(folder: str) -> tuple[str, str | None]:
    name, _, value = folder.partition("=")
    return name, None if value == _NULL else unquote(value)


def _is_integer(value: str | None) -> bool:
    if value is None:
        return True
    digits = value.removeprefix("-")
    return digits.isascii() and digits.isdigit() and -_MOST <= int(value) < _MOST
