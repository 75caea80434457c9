"""CSV and JSON lines: blocks are parsed by all processors, and the types of the blocks are united.

Text does not declare the types of its columns. PyArrow's streams (and its datasets, which use them) find the types in
the first block: they fail at the first ``1.5`` of an integer column, and leave out columns that the first objects lack.
PyArrow's readers of whole files look at all values, but hold all of the text in memory. So every block is parsed by
itself, one processor each, and integers become floats if one block has floats. A column for which no type holds all
values is read again, as text.

Does not depend on: stores, how one block is parsed.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import reduce
from types import MappingProxyType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from colonnade.errors import UnreadableFileError
from colonnade.io.batches import Source, without_columns
from colonnade.io.formats import FileFormat, explaining
from colonnade.io.options import ReadOptions, check_columns
from colonnade.io.progress import Meter
from colonnade.io.text_blocks import Text
from colonnade.io.text_csv import csv_blocks
from colonnade.io.text_json import json_blocks
from colonnade.io.text_parts import DIGITS, Key, Part

# The most threads, whatever the number of processors: each keeps a block and its parsed rows in memory.
_THREADS = 8


class TextFile(NamedTuple):
    """A file: its path, for messages; how to open it, decompressed; its size before decompression.

    ``folders`` are the columns that its folders name, and their values.
    """

    path: str
    open: Callable[[], Any]
    size: int
    again: bool  # whether it can be read twice; a pipe cannot
    folders: Mapping[str, pa.Scalar] = MappingProxyType({})


def read_text(files: Sequence[TextFile], kind: FileFormat, options: ReadOptions, meter: Meter) -> Source:
    """Read files to their end, and find each column's type in all of its values.

    Raises
    ------
    UnreadableFileError, ValueError
    """
    parts = list(_parts(files, kind, options, meter, None))
    arrays: dict[Key, list[pa.ChunkedArray]] = {}
    for part in parts:
        for key, column in part.columns.items():
            arrays.setdefault(key, []).append(column)
    types = {key: _united(columns) for key, columns in arrays.items()}
    for option, labels in (("columns", options.columns), ("types", options.types)):
        check_columns(labels or (), dict.fromkeys(name for part in parts for name in part.names), option)
    if options.columns is not None:
        order = list(options.columns)
        types = {key: types[key] for key in sorted(types, key=lambda key: order.index(key[0]))}
    kinds = {key: {column.type for column in columns} for key, columns in arrays.items()}
    del arrays
    if as_text := {key for key, type_ in types.items() if type_ is None}:
        for file in files:
            if not file.again:
                names = ", ".join(name for name, _ in sorted(as_text))
                raise UnreadableFileError(
                    f"{file.path} cannot be read twice, which columns of several types need ({names}); nothing was "
                    "stored. Save it to a file first"
                )
        for part in parts:
            part.drop(as_text)
        for part, again in zip(parts, _parts(files, kind, options, Meter(), as_text), strict=True):
            part.columns.update({key: text for key, text in again.columns.items() if key[0] not in part.folders})
        for key in as_text:
            if kinds[key] <= _BOOLEANS and _to_booleans(parts, key):
                types[key] = pa.bool_()
    schema = pa.schema([pa.field(name, pa.string() if type_ is None else type_) for (name, _), type_ in types.items()])
    return Source(schema, _batches(parts, list(types), schema))


# PyArrow reads 1 and 0 as booleans if the other values are true and false, and as integers if there are no others.
_BOOLEANS = {pa.bool_(), pa.int64(), pa.null()}


def _to_booleans(parts: list[Part], key: Key) -> bool:
    """Turn a column of texts into booleans, if it has no other values."""
    try:
        booleans = [part.columns[key].cast(pa.bool_()) if key in part.columns else None for part in parts]
    except pa.ArrowInvalid:
        return False
    for part, column in zip(parts, booleans, strict=True):
        if column is not None:
            part.columns[key] = column
    return True


def _batches(parts: list[Part], keys: list[Key], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    parts.reverse()
    while parts:
        rows, columns, *_ = parts.pop()  # the caller alone has its batches then
        if not keys:
            yield without_columns(rows, schema)
            continue
        missing = pa.chunked_array([pa.nulls(rows)])
        arrays = [_cast(columns.get(key, missing), type_) for key, type_ in zip(keys, schema.types, strict=True)]
        yield from pa.table(arrays, schema=schema).to_batches()


def _cast(column: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    # Integers past 2**53 become the nearest float, as they would if the text were read as floats.
    return column if column.type == type_ else column.cast(type_, safe=not pt.is_floating(type_))


def _united(columns: Sequence[pa.ChunkedArray]) -> pa.DataType | None:
    """Return the type that holds all values of these columns; None if only text does."""
    types = list(dict.fromkeys(column.type for column in columns))
    if {pa.uint64(), DIGITS} & set(types):
        others = [type_ for type_ in types if type_ not in (DIGITS, pa.uint64(), pa.null())]
        if pa.float64() in others and all(pt.is_integer(type_) or pt.is_floating(type_) for type_ in others):
            return pa.float64()
        if DIGITS in types or not all(map(pt.is_integer, others)):
            return DIGITS if set(types) <= {DIGITS, pa.null()} else None
        signed_columns = (column for column in columns if pt.is_signed_integer(column.type))
        return None if any((pc.min(column).as_py() or 0) < 0 for column in signed_columns) else pa.uint64()
    return reduce(_together, types)


def _together(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    if one is None or other is None:
        return None
    for day, time in ((one, other), (other, one)):
        if pt.is_date(day) and pt.is_timestamp(time):
            return time
    schemas = [pa.schema([("", type_)]) for type_ in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").types[0]
    except pa.ArrowTypeError:
        return None


# -- blocks ------------------------------------------------------------------------------------------------------------

# For each block of an open file, a function that parses it.
_BLOCKS: dict[FileFormat, Callable[[Text, ReadOptions, set[Key] | None], Iterator[Callable[[], Part]]]] = {
    FileFormat.CSV: csv_blocks,
    FileFormat.TSV: csv_blocks,
    FileFormat.JSON: json_blocks,
}


def _parts(
    files: Sequence[TextFile], kind: FileFormat, options: ReadOptions, meter: Meter, as_text: set[Key] | None
) -> Iterator[Part]:
    """Read one part for each block: all columns, or those in ``as_text``, as strings."""
    before = 0
    for file in files:
        with explaining(file.path, kind), file.open() as text:
            for part in _in_threads(_BLOCKS[kind](text, options, as_text)):
                for column in part.columns.values():
                    meter.nbytes += column.nbytes
                meter.rows += part.rows
                meter.position = before + text.at
                yield part if as_text is not None else part.with_constants(file.folders, options.columns)
        before += file.size


def _in_threads(blocks: Iterator[Callable[[], Part]]) -> Iterator[Part]:
    """Parse blocks by all processors, and give their parts in the order of the blocks."""
    threads = min(len(os.sched_getaffinity(0)), _THREADS)
    futures: deque[Future[Part]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for parse in blocks:
            futures.append(pool.submit(parse))
            if len(futures) > threads:  # one block waits
                yield futures.popleft().result()
        while futures:
            yield futures.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
