"""Makes the blocks of a frame from Arrow columns: where each column goes, and the job that moves it there.

No byte is moved before every block is planned; then one run of the core moves all columns. pandas and PyArrow convert
what has no job of its own. They also convert a column with a value that is not representable (a time beyond its unit,
an index beyond its dictionary), and so raise their own error about it.
Does not depend on: labels, indexes, how jobs are run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from colonnade.conversion.c_stream import ImportedColumns
from colonnade.conversion.column_jobs import ColumnJobs
from colonnade.conversion.dictionaries import UnitedDictionary, unite
from colonnade.conversion.groups import Group
from colonnade.conversion.objects import NULL_DAY, share_bools, share_dates
from colonnade.conversion.strings import widen
from colonnade.core.buffers import address_of
from colonnade.core.jobs import ELEMENT, PandasBuffer, Values
from colonnade.interop import pandas as internals
from colonnade.interop import pyarrow as by_pyarrow
from colonnade.interop.pyarrow import PandasOptions
from colonnade.rules import Reading, codes_dtype, fill_pattern

Positions = npt.NDArray[np.intp]
Block = tuple[Any, Positions]

# Nanoseconds in a unit; dates count days (32 bits) or milliseconds (64 bits).
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9
# With self_destruct: how many bytes are freed before they are returned to the operating system.
_RELEASE_STEP = 32 << 20


def _copied(group: Group) -> dict[str, int]:
    return {"values": Values.FIXED, "width": group.arrow.bit_width // 8, "fill": fill_pattern(group.arrow)}


def _bytes(_: Group) -> dict[str, int]:
    return {"values": Values.BITS, "pandas_buffer": PandasBuffer.BYTES, "pandas_element": ELEMENT["uint8"]}


def _float64(group: Group) -> dict[str, int]:
    source = {"width": group.arrow.bit_width // 8, "element": ELEMENT[str(group.arrow)]}
    return source | {"pandas_buffer": PandasBuffer.FLOAT64, "pandas_element": ELEMENT["float64"]}


def _scaled(group: Group) -> dict[str, int]:
    type_ = group.arrow
    have = _DAY if pt.is_date32(type_) else _NANOSECONDS["ms" if pt.is_date64(type_) else type_.unit]
    source = {"width": type_.bit_width // 8, "element": ELEMENT[f"int{type_.bit_width}"]}
    factor = have // _NANOSECONDS[np.datetime_data(group.dtype)[0]]
    return source | {"pandas_buffer": PandasBuffer.SCALED, "pandas_element": ELEMENT["int64"], "operand": factor}


# How a column becomes a row of a NumPy block: the fields of its job, and the output that is the row.
_IN_BLOCK: dict[Reading, tuple[Callable[[Group], dict[str, int]], str]] = {
    Reading.VALUES: (_copied, "values_at"),
    Reading.BYTES: (_bytes, "pandas_at"),
    Reading.FLOAT64: (_float64, "pandas_at"),
    Reading.SCALED: (_scaled, "pandas_at"),
}


class BlockMaker:
    """Makes the blocks of one frame, once.

    With the option ``self_destruct`` the memory of each column is freed after it was moved, and the table must not be
    used afterwards.
    """

    def __init__(
        self, table: pa.Table, groups: Sequence[Group], columns: ImportedColumns, options: PandasOptions
    ) -> None:
        self._names = table.schema.names
        self._rows = table.num_rows
        self._groups = groups
        self._options = options
        self._destroys = bool(options.self_destruct)
        self._freed = 0
        self._jobs = ColumnJobs(columns, threads=0 if options.use_threads else 1, one_by_one=self._destroys)
        self._positions = columns.positions
        # Makes a column's array after the bytes were moved; with the column's position.
        self._finish: list[tuple[Callable[[], Any], int]] = []
        # The row of a block for a column that PyArrow converts because it overflowed.
        self._overflow_rows: dict[int, npt.NDArray[Any]] = {}
        # Fills a column's row of objects.
        self._repeated: dict[int, Callable[[npt.NDArray[Any], int], None]] = {}
        # The columns that PyArrow converts.
        self._left: list[int] = []
        if self._destroys:
            columns.release()
            self._columns = by_pyarrow.take_columns(table, options)
            self._column = self._columns.__getitem__
        else:
            self._column = table.column

    def make(self) -> list[Block]:
        """Make them; each is an array and the positions of its columns. They are in PyArrow's order."""
        plans: dict[Reading, Callable[[Group], None]] = {
            Reading.CODES: self._plan_codes,
            Reading.MASKED: self._plan_masked,
            Reading.STRING: self._plan_strings,
            Reading.REPEATED: self._plan_repeated,
        }
        blocks = list(self._plan_numpy([group for group in self._groups if group.rule.reading in _IN_BLOCK]))
        for group in self._groups:
            if group.rule.reading not in _IN_BLOCK:
                plans.get(group.rule.reading, self._plan_converted)(group)
        self._jobs.run(self._free if self._destroys else None)
        overflows = self._positions[self._jobs.overflows].tolist()
        self._left += overflows
        blocks += [(finish(), np.array([position])) for finish, position in self._finish if position not in overflows]
        blocks += self._repeated_objects()
        if self._left:
            blocks += self._convert(np.sort(np.array(self._left, np.intp)))
        if self._options.split_blocks:
            return sorted(blocks, key=_first_position)
        return _in_order(_joined(blocks))

    def _free(self, member: int) -> None:
        """Free a column's memory; Arrow's pools return it to the operating system only when they are asked to."""
        position = self._positions[member]
        self._freed += self._columns[position].nbytes
        self._columns[position] = None
        if self._freed >= _RELEASE_STEP:
            pa.default_memory_pool().release_unused()
            self._freed = 0

    def _members(self, group: Group) -> Iterator[tuple[int, int]]:
        return zip(group.positions.tolist(), group.members.tolist(), strict=True)

    def _add(self, finish: Callable[[], Any], position: int) -> None:
        self._finish.append((finish, position))

    # -- NumPy's dtypes, and zoned times -------------------------------------------------------------------------------

    def _plan_numpy(self, groups: Sequence[Group]) -> Iterator[Block]:
        split = self._options.split_blocks
        joined: dict[np.dtype[Any], list[Group]] = {}
        for group in groups:
            fields, _ = _IN_BLOCK[group.rule.reading]
            self._jobs.set(group.members, fields(group))
            if not split and not _is_zoned(group):
                joined.setdefault(group.dtype, []).append(group)
                continue
            in_place = split and group.rule.reading is Reading.VALUES and not group.nulls
            for position, member in self._members(group):
                if in_place and self._column(position).num_chunks == 1:
                    values = self._view(position, group.dtype).reshape(1, -1)
                else:
                    values = self._jobs.outputs.new((1, self._rows), group.dtype)
                    self._place(group, np.array([member]), values, np.array([0]))
                if _is_zoned(group):
                    zoned = by_pyarrow.zoned_dtype(group.arrow, np.datetime_data(group.dtype)[0])
                    self._add(partial(internals.make_datetimes, values, zoned), position)
                else:
                    yield values, np.array([position])
        for dtype, parts in joined.items():
            positions = np.sort(np.concatenate([group.positions for group in parts]))
            block = self._jobs.outputs.new((len(positions), self._rows), dtype)
            for group in parts:
                self._place(group, group.members, block, np.searchsorted(positions, group.positions))
            yield block, positions

    def _place(self, group: Group, members: Positions, block: npt.NDArray[Any], rows: Positions) -> None:
        _, place = _IN_BLOCK[group.rule.reading]
        self._jobs.set(members, {place: address_of(block) + rows * block.strides[0]})
        if group.rule.reading is Reading.SCALED and not _is_zoned(group):
            for member, row in zip(members.tolist(), rows.tolist(), strict=True):
                self._overflow_rows[int(self._positions[member])] = block[row]

    def _view(self, position: int, dtype: Any) -> npt.NDArray[Any]:
        """The values of a column of one chunk, in place; read-only, because others may hold them too."""
        chunk = self._column(position).chunk(0)
        if pt.is_dictionary(chunk.type):
            chunk = chunk.indices
        if len(chunk) == 0:
            return np.empty(0, dtype)
        view = np.frombuffer(chunk.buffers()[1], dtype, len(chunk), chunk.offset * np.dtype(dtype).itemsize)
        view.flags.writeable = False
        return view

    # -- arrays of their own -------------------------------------------------------------------------------------------

    def _plan_masked(self, group: Group) -> None:
        is_bool = pt.is_boolean(group.arrow)
        fields, place = (_bytes(group), "pandas_at") if is_bool else (_copied(group), "values_at")
        for position, member in self._members(group):
            values = self._jobs.outputs.new((self._rows,), group.dtype.numpy_dtype)
            mask = self._jobs.outputs.new((self._rows,), np.bool_)
            self._jobs.set(member, fields | {place: address_of(values), "mask_at": address_of(mask)})
            self._add(partial(internals.make_masked, group.dtype, values, mask), position)

    def _plan_codes(self, group: Group) -> None:
        for position, member in self._members(group):
            column = self._column(position)
            united = unite(column)
            dtype = None if united is None else self._categorical_dtype(united, group)
            pieces = int(self._jobs.columns.counts[member])
            if united is None or dtype is None or (united.maps and len(united.maps) != pieces):
                self._left.append(position)
                continue
            codes = self._codes(position, member, group, united)
            if codes is not None:
                self._add(partial(internals.make_categorical, codes, dtype.categories, dtype.ordered), position)

    def _categorical_dtype(self, united: UnitedDictionary, group: Group) -> Any:
        """The dtype with these categories; None if pandas or PyArrow refuse them."""
        try:
            categories = by_pyarrow.categories_of(united.dictionary, self._options)
            return pd.CategoricalDtype(categories, group.arrow.ordered)
        except (ValueError, TypeError, NotImplementedError):  # PyArrow's errors derive from these
            return None

    def _codes(self, position: int, member: int, group: Group, united: UnitedDictionary) -> npt.NDArray[Any] | None:
        limit = len(united.dictionary)
        index_type, dtype = group.arrow.index_type, codes_dtype(limit)
        if not group.nulls and str(index_type) == dtype and self._column(position).num_chunks == 1:
            codes = self._view(position, dtype)
            if len(codes) == 0 or 0 <= codes.min() <= codes.max() < limit:
                return codes
            self._left.append(position)
            return None
        codes = self._jobs.outputs.new((self._rows,), dtype)
        fields = {"width": index_type.bit_width // 8, "element": ELEMENT[str(index_type)], "operand": limit}
        fields |= {
            "pandas_buffer": PandasBuffer.CODES,
            "pandas_element": ELEMENT[dtype],
            "pandas_at": address_of(codes),
        }
        self._jobs.set(member, fields)
        if united.maps is not None:
            self._jobs.renumber(member, united.maps)
        return codes

    def _plan_strings(self, group: Group) -> None:
        for position in group.positions.tolist():
            chunks = [self._large(chunk) for chunk in self._column(position).chunks]

            def finish(chunks: list[Callable[[], pa.Array]] = chunks) -> Any:
                array = pa.chunked_array([chunk() for chunk in chunks], pa.large_string())
                return internals.make_strings(array, group.dtype)

            self._add(finish, position)

    def _large(self, chunk: pa.Array) -> Callable[[], pa.Array]:
        """A function that returns the chunk as ``large_string`` after the bytes were moved."""
        planned = chunk if pt.is_large_string(chunk.type) else widen(chunk, self._jobs.outputs)
        if isinstance(planned, pa.Array):
            return lambda: planned
        self._jobs.add(planned.job, planned.piece)
        return planned.finish

    def _plan_converted(self, group: Group) -> None:
        if not group.is_given:
            self._left += group.positions.tolist()
            return
        for position in group.positions.tolist():
            column = self._column(position)
            array = by_pyarrow.from_extension(group.dtype, column.dictionary_encode() if group.encoded else column)
            self._add(partial(lambda array: array, array), position)

    # -- Python objects, and columns that overflowed -------------------------------------------------------------------

    def _plan_repeated(self, group: Group) -> None:
        for position, member in self._members(group):
            if pt.is_boolean(group.arrow):
                values, mask = (self._jobs.outputs.new((self._rows,), np.int8) for _ in range(2))
                self._jobs.set(member, _bytes(group) | {"pandas_at": address_of(values), "mask_at": address_of(mask)})
                self._repeated[position] = partial(share_bools, values, mask)
            else:
                days = self._jobs.outputs.new((self._rows,), np.int32)
                self._jobs.set(member, _copied(group) | {"fill": NULL_DAY, "values_at": address_of(days)})
                self._repeated[position] = partial(share_dates, days)

    def _repeated_objects(self) -> list[Block]:
        if not self._repeated:
            return []
        where = np.array(sorted(self._repeated), np.intp)
        block = np.empty((len(where), self._rows), object)
        for row, position in enumerate(where.tolist()):
            self._repeated[position](block[row], self._jobs.threads)
        if self._options.split_blocks:
            return [(block[row : row + 1], where[row : row + 1]) for row in range(len(where))]
        return [(block, where)]

    def _convert(self, left: Positions) -> list[Block]:
        """PyArrow's own conversion of the columns that are left."""
        names = [self._names[position] for position in left.tolist()]
        table = pa.Table.from_arrays([self._column(position) for position in left.tolist()], names)
        if self._destroys:
            for position in left.tolist():
                self._columns[position] = None
        blocks: list[Block] = []
        for array, where in by_pyarrow.convert_columns(table, self._options):
            positions = left[np.asarray(where)]
            if array.ndim == 1:
                blocks.append((array, positions))
                continue
            for row, position in enumerate(positions.tolist()):
                if position in self._overflow_rows:
                    self._overflow_rows[position][:] = array[row]
                else:
                    blocks.append((array[row : row + 1], positions[row : row + 1]))
        return blocks


def _is_zoned(group: Group) -> bool:
    return pt.is_timestamp(group.arrow) and group.arrow.tz is not None


def _is_numpy(block: Block) -> bool:
    return isinstance(block[0], np.ndarray) and block[0].ndim == 2


def _joined(blocks: list[Block]) -> list[Block]:
    """Join the blocks of each NumPy dtype, columns in order: PyArrow's and ours, and objects from two sources."""
    by_dtype: dict[Any, list[Block]] = {}
    for block in blocks:
        if _is_numpy(block):
            by_dtype.setdefault(block[0].dtype, []).append(block)
    joined = [block for block in blocks if not _is_numpy(block)]
    for parts in by_dtype.values():
        if len(parts) == 1:
            joined += parts
            continue
        arrays, places = zip(*parts, strict=True)
        where = np.concatenate(places)
        order = np.argsort(where)
        joined.append((np.concatenate(arrays)[order], where[order]))
    return joined


def _first_position(block: Block) -> int:
    return int(block[1][0])


def _in_order(blocks: list[Block]) -> list[Block]:
    """PyArrow's order: NumPy's blocks by their first column, then the other columns from the last to the first.

    PyArrow takes both from hash tables: that is the order in which these give a handful, and any order is theirs for
    more.
    """
    numpy_blocks = [block for block in blocks if _is_numpy(block)]
    others = [block for block in blocks if not _is_numpy(block)]
    return sorted(numpy_blocks, key=_first_position) + sorted(others, key=_first_position, reverse=True)
