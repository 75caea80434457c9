"""The pandas metadata of several files that become one table.

Each file of a folder says with which pandas dtype each column is read; PyArrow keeps what the first file says. If a
column has different types in different files, the united type may be one that the dtype of the first cannot hold.

Does not depend on: how files are read, pandas.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

_KEY = b"pandas"


def with_united_dtypes(schema: pa.Schema, files: Sequence[pa.Schema]) -> pa.Schema:
    """Give the united schema of files, with a pandas dtype for each column that holds its united type.

    It is the dtype of the first file in which the column has that type, or else the masked dtype of that type where the
    first file's is masked, or else none: the column is read as PyArrow reads it without metadata.
    """
    metadata = _metadata(schema)
    if metadata is None or len(files) < 2:
        return schema
    entries = [
        (file, {_field_of(entry): entry for entry in (_metadata(file) or {}).get("columns", [])}) for file in files
    ]
    columns = []
    for entry in metadata["columns"]:
        name = _field_of(entry)
        type_ = _type(schema, name)
        same = (dtypes[name] for file, dtypes in entries if name in dtypes and _type(file, name) == type_)
        if type_ is None or all(_type(file, name) in (type_, None) for file, _ in entries):
            columns.append(entry)
        elif (agreeing := next(same, None)) is not None:
            columns.append(agreeing)
        elif (dtype := _masked(entry, type_)) is not None:
            columns.append(entry | {"pandas_type": dtype.lower(), "numpy_type": dtype})
    return schema.with_metadata(schema.metadata | {_KEY: json.dumps(metadata | {"columns": columns}).encode()})


def check_metadata(schema: pa.Schema) -> None:
    """Refuse pandas metadata that cannot be followed, as PyArrow's ``to_pandas`` does.

    Raises
    ------
    pyarrow.ArrowInvalid
    """
    text = (schema.metadata or {}).get(_KEY)
    try:
        metadata = {} if text is None else json.loads(text)
        for index in (metadata or {}).get("index_columns") or [] if isinstance(metadata, dict) else []:
            if isinstance(index, dict) and index.get("kind") == "range":
                range(index["start"], index["stop"], index["step"])
    except (ValueError, TypeError) as error:
        raise pa.ArrowInvalid(f"invalid pandas metadata (schema key 'pandas'): {error}") from None
    except KeyError as error:
        raise pa.ArrowInvalid(f"invalid pandas metadata (schema key 'pandas'): missing key {error}") from None


def _metadata(schema: pa.Schema) -> dict[str, Any] | None:
    """Give the pandas metadata, or None where there is none that can be followed."""
    try:
        metadata = json.loads((schema.metadata or {})[_KEY])
        for entry in metadata["columns"]:
            _field_of(entry)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return dict(metadata)


def _field_of(entry: dict[str, Any]) -> Any:
    return entry.get("field_name", entry.get("name"))


def _type(schema: pa.Schema, name: Any) -> pa.DataType | None:
    at = schema.get_field_index(name) if isinstance(name, str) else -1
    return None if at < 0 else schema.field(at).type


def _masked(entry: dict[str, Any], type_: pa.DataType) -> str | None:
    if str(entry.get("numpy_type")) not in _MASKED:
        return None
    if pt.is_boolean(type_):
        return "boolean"
    name = {"double": "Float64", "float": "Float32"}.get(
        str(type_), str(type_).replace("uint", "UInt").replace("int", "Int")
    )
    return name if name in _MASKED else None


_MASKED = {"boolean", "Float32", "Float64", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))}
