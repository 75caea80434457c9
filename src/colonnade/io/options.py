"""How a source is read: what a caller may choose, and for which formats each choice is.

Does not depend on: how a format is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import pyarrow as pa

from colonnade.errors import brief_repr
from colonnade.io.formats import TEXT, FileFormat

Engine = Literal["pyarrow", "duckdb", "polars"]

_COLUMNAR = set(FileFormat) - TEXT
_CSV = {FileFormat.CSV, FileFormat.TSV}
_DELIMITERS = {FileFormat.CSV: ",", FileFormat.TSV: "\t"}
# The formats that each option is for.
_FORMATS: dict[str, set[FileFormat]] = {
    "columns": set(FileFormat),
    "filters": _COLUMNAR,
    "types": TEXT,
    "delimiter": _CSV,
    "decimal": _CSV,
    "encoding": TEXT,
    "engine": TEXT,
}


class ReadOptions(NamedTuple):
    """The options of `load` that say how a source is read; None: as the format has it.

    ``filters`` is an expression of ``pyarrow.dataset``, or tuples as ``pyarrow.parquet.read_table`` takes them.
    """

    columns: Sequence[str] | None = None
    filters: Any = None
    types: Mapping[str, pa.DataType] | None = None
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    engine: Engine | None = None

    @classmethod
    def checked(
        cls,
        *,
        columns: str | Iterable[str] | None,
        filters: Any,
        types: Mapping[str, Any] | None,
        delimiter: str | None,
        decimal: str | None,
        encoding: str | None,
        engine: str | None,
    ) -> ReadOptions:
        """Make options of what a caller passed.

        Raises
        ------
        ValueError
        """
        for name, sign in (("delimiter", delimiter), ("decimal", decimal)):
            if sign is not None and not _is_sign(sign):
                raise ValueError(f"{name} must be one ASCII character, no quote and no line break, got {sign!r}")
        if encoding is not None and not _is_encoding(encoding):
            raise ValueError(f"encoding={encoding!r} is unknown; give a name that Python knows, as latin-1")
        if engine is not None and engine not in get_args(Engine):
            raise ValueError(f"engine must be one of {', '.join(get_args(Engine))}, got {engine!r}")
        names = [columns] if isinstance(columns, str) else None if columns is None else list(columns)
        if names is not None and len(set(names)) < len(names):
            raise ValueError(f"columns= names a column twice: {names}")
        if types is not None and not isinstance(types, Mapping):
            raise TypeError(f"types must map names of columns to types, got {brief_repr(types)}")
        arrow_types = None if types is None else {name: _type(name, type_) for name, type_ in types.items()}
        other = None if engine == "pyarrow" else cast(Engine | None, engine)
        return cls(names, filters, arrow_types, delimiter, decimal, encoding, other)

    def chosen(self) -> list[str]:
        """The names of the options that were given."""
        return [name for name, value in self._asdict().items() if value is not None]

    def of(self, kind: FileFormat) -> ReadOptions:
        """The options for files of one format, with its delimiter.

        Raises
        ------
        ValueError
            For options that are not for this format.
        """
        for name in self.chosen():
            if kind not in _FORMATS[name]:
                formats = ", ".join(sorted(_FORMATS[name]))
                raise ValueError(f"{name}= is for {formats}, not for {kind}")
        if self.engine is not None and self.types is not None:
            raise ValueError(f"types= is for PyArrow's reader; {self.engine} finds its own types")
        delimiter = self.delimiter or _DELIMITERS.get(kind)
        if delimiter == (self.decimal or "."):
            raise ValueError(
                f"{delimiter!r} is both decimal= and delimiter=; say with delimiter= what separates the fields"
            )
        return self._replace(delimiter=delimiter)


def _is_sign(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value.isascii() and value not in '"\n\r'


def _is_encoding(value: Any) -> bool:
    try:
        "".encode(value)
    except (LookupError, TypeError, ValueError):
        return False
    return True


def _type(column: str, value: Any) -> pa.DataType:
    if isinstance(value, pa.DataType):
        return value
    if value == "category":
        return pa.dictionary(pa.int32(), pa.string())
    try:
        if isinstance(value, (type, np.dtype)) and value not in _ALIASES:
            return pa.from_numpy_dtype(np.dtype(value))
        return pa.type_for_alias(_ALIASES.get(value, value))
    except (ValueError, TypeError, AttributeError, pa.ArrowNotImplementedError):
        raise ValueError(
            f"types= of column {column!r}: {brief_repr(value)} is not a type. Give one of PyArrow, or a name: int64, "
            "float32, bool, string, category, date32, timestamp[ns]"
        ) from None


# What pandas and Python call them.
_ALIASES: Mapping[Any, str] = {
    "str": "string",
    "datetime64[ns]": "timestamp[ns]",
    int: "int64",
    float: "float64",
    str: "string",
    bool: "bool",
}


def check_columns(columns: Iterable[str], present: Iterable[str], option: str = "columns") -> None:
    """Refuse names that a source does not have.

    Raises
    ------
    ValueError
    """
    names = list(present)
    if missing := [name for name in columns if name not in names]:
        list_of_names = ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")
        raise ValueError(
            f"{option}= names columns that are not there: {', '.join(map(repr, missing))}. There are: {list_of_names}"
        )


def check_filter(rows: Any, schema: pa.Schema) -> None:
    """See that a filter is one of the table's columns, and of their types.

    Raises
    ------
    ValueError
    """
    try:
        schema.empty_table().filter(rows)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"filters= does not fit this table: {error}") from None
