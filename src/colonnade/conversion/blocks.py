"""The blocks of a frame, made of Arrow columns: where each column goes, and the job that brings it there.

Knows: groups, blocks as arrays and positions. Does not depend on: labels, indexes, how jobs are run.

Nothing moves before every block is planned; then all columns move in one run of the core. What has no job of its own
is left to pandas and PyArrow, and so is a column that turns out not to fit (a time beyond its unit, an index beyond
its dictionary): they say what is wrong in their own words.
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
from colonnade.conversion.column_jobs import Moves
from colonnade.conversion.dictionaries import United, unite
from colonnade.conversion.groups import Group
from colonnade.conversion.objects import NULL_DAY, share_dates, share_truths
from colonnade.conversion.strings import widen
from colonnade.core.buffers import address_of
from colonnade.core.jobs import ELEMENT, PandasBuffer, Values
from colonnade.interop import pandas as internals
from colonnade.interop import pyarrow as by_pyarrow
from colonnade.rules import Reading, codes_dtype, fill_pattern

Positions = npt.NDArray[np.intp]
Block = tuple[Any, Positions]

# Nanoseconds in a unit; dates count days (32 bits) or milliseconds (64 bits).
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9
# How many bytes of a table that destroys itself are freed before they are given back.
_RELEASED = 32 << 20


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

    With the option ``self_destruct`` the table is not to be used afterwards: a column's memory goes when it has moved.
    """

    def __init__(
        self, table: pa.Table, groups: Sequence[Group], imported: ImportedColumns, options: dict[str, Any]
    ) -> None:
        self._names = table.schema.names
        self._rows = table.num_rows
        self._groups = groups
        self._options = options
        self._destroys = bool(options["self_destruct"])
        self._freed = 0
        self._moves = Moves(imported, threads=0 if options["use_threads"] else 1, piecemeal=self._destroys)
        self._positions = imported.positions
        self._finish: list[tuple[Callable[[], Any], int]] = []  # what makes a column's array once the bytes have moved
        self._overflow_rows: dict[int, npt.NDArray[Any]] = {}  # where a left column goes that has a place in a block
        self._repeated: dict[int, Callable[[npt.NDArray[Any], int], None]] = {}  # what fills a column's row of objects
        self._left: list[int] = []
        if self._destroys:
            imported.release()
            self._columns = by_pyarrow.take_columns(table, options)
            self._column = self._columns.__getitem__
        else:
            self._column = table.column

    def make(self, categories: Sequence[str]) -> list[Block]:
        """Make them; each is an array and the positions of its columns."""
        plans: dict[Reading, Callable[[Group], None]] = {
            Reading.CODES: self._plan_codes,
            Reading.MASKED: self._plan_masked,
            Reading.STRING: self._plan_strings,
            Reading.REPEATED: self._plan_repeated,
        }
        made = list(self._plan_numpy([group for group in self._groups if group.rule.reading in _IN_BLOCK]))
        for group in self._groups:
            if group.rule.reading not in _IN_BLOCK:
                plans.get(group.rule.reading, self._plan_converted)(group)
        self._moves.run(self._forget if self._destroys else None)
        overflows = self._positions[self._moves.overflows].tolist()
        self._left += overflows
        made += [(make(), np.array([position])) for make, position in self._finish if position not in overflows]
        made += self._repeated_objects()
        if self._left:
            made += self._convert(np.sort(np.array(self._left, np.intp)), categories)
        return made if self._options["split_blocks"] else _joined(made)

    def _forget(self, member: int) -> None:
        """Let a column's memory go; Arrow's pools keep what is freed until they are told."""
        position = self._positions[member]
        self._freed += self._columns[position].nbytes
        self._columns[position] = None
        if self._freed >= _RELEASED:
            pa.default_memory_pool().release_unused()
            self._freed = 0

    def _members(self, group: Group) -> Iterator[tuple[int, int]]:
        return zip(group.positions.tolist(), group.members.tolist(), strict=True)

    def _add(self, make: Callable[[], Any], position: int) -> None:
        self._finish.append((make, position))

    # -- NumPy's dtypes, and zoned times -------------------------------------------------------------------------------

    def _plan_numpy(self, groups: Sequence[Group]) -> Iterator[Block]:
        split = self._options["split_blocks"]
        joined: dict[np.dtype[Any], list[Group]] = {}
        for group in groups:
            fields, _ = _IN_BLOCK[group.rule.reading]
            self._moves.set(group.members, fields(group))
            if not split and not _is_zoned(group):
                joined.setdefault(group.dtype, []).append(group)
                continue
            in_place = split and group.rule.reading is Reading.VALUES and not group.nulls
            for position, member in self._members(group):
                if in_place and self._column(position).num_chunks == 1:
                    values = self._view(position, group.dtype).reshape(1, -1)
                else:
                    values = self._moves.outputs.new((1, self._rows), group.dtype)
                    self._place(group, np.array([member]), values, np.array([0]))
                if _is_zoned(group):
                    zoned = by_pyarrow.zoned_dtype(group.arrow, np.datetime_data(group.dtype)[0])
                    self._add(partial(internals.make_datetimes, values, zoned), position)
                else:
                    yield values, np.array([position])
        for dtype, parts in joined.items():
            positions = np.sort(np.concatenate([group.positions for group in parts]))
            block = self._moves.outputs.new((len(positions), self._rows), dtype)
            for group in parts:
                self._place(group, group.members, block, np.searchsorted(positions, group.positions))
            yield block, positions

    def _place(self, group: Group, members: Positions, block: npt.NDArray[Any], rows: Positions) -> None:
        _, place = _IN_BLOCK[group.rule.reading]
        self._moves.set(members, {place: address_of(block) + rows * block.strides[0]})
        if group.rule.reading is Reading.SCALED and not _is_zoned(group):
            for member, row in zip(members.tolist(), rows.tolist(), strict=True):
                self._overflow_rows[int(self._positions[member])] = block[row]

    def _view(self, position: int, dtype: Any) -> npt.NDArray[Any]:
        """The values of a column of one chunk, in place; read-only, for others may hold them too."""
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
        truths = pt.is_boolean(group.arrow)
        fields, place = (_bytes(group), "pandas_at") if truths else (_copied(group), "values_at")
        for position, member in self._members(group):
            values = self._moves.outputs.new((self._rows,), group.dtype.numpy_dtype)
            mask = self._moves.outputs.new((self._rows,), np.bool_)
            self._moves.set(member, fields | {place: address_of(values), "mask_at": address_of(mask)})
            self._add(partial(internals.make_masked, group.dtype, values, mask), position)

    def _plan_codes(self, group: Group) -> None:
        for position, member in self._members(group):
            column = self._column(position)
            united = unite(column)
            dtype = None if united is None else self._categorical_dtype(united, group)
            pieces = int(self._moves.imported.counts[member])
            if united is None or dtype is None or (united.maps and len(united.maps) != pieces):
                self._left.append(position)
                continue
            codes = self._codes(position, member, group, united)
            if codes is not None:
                self._add(partial(internals.make_categorical, codes, dtype.categories, dtype.ordered), position)

    def _categorical_dtype(self, united: United, group: Group) -> Any:
        """The dtype with these categories; None where pandas or PyArrow refuse them."""
        try:
            categories = by_pyarrow.categories_of(united.dictionary, self._options)
            return pd.CategoricalDtype(categories, group.arrow.ordered)
        except (ValueError, TypeError, NotImplementedError):  # PyArrow's errors are these, too
            return None

    def _codes(self, position: int, member: int, group: Group, united: United) -> npt.NDArray[Any] | None:
        limit = len(united.dictionary)
        index_type, dtype = group.arrow.index_type, codes_dtype(limit)
        if not group.nulls and str(index_type) == dtype and self._column(position).num_chunks == 1:
            codes = self._view(position, dtype)
            if len(codes) == 0 or 0 <= codes.min() <= codes.max() < limit:
                return codes
            self._left.append(position)
            return None
        codes = self._moves.outputs.new((self._rows,), dtype)
        fields = {"width": index_type.bit_width // 8, "element": ELEMENT[str(index_type)], "operand": limit}
        fields |= {
            "pandas_buffer": PandasBuffer.CODES,
            "pandas_element": ELEMENT[dtype],
            "pandas_at": address_of(codes),
        }
        self._moves.set(member, fields)
        if united.maps is not None:
            self._moves.renumber(member, united.maps)
        return codes

    def _plan_strings(self, group: Group) -> None:
        for position in group.positions.tolist():
            chunks = [self._large(chunk) for chunk in self._column(position).chunks]

            def finish(chunks: list[Callable[[], pa.Array]] = chunks) -> Any:
                array = pa.chunked_array([chunk() for chunk in chunks], pa.large_string())
                return internals.make_strings(array, group.dtype)

            self._add(finish, position)

    def _large(self, chunk: pa.Array) -> Callable[[], pa.Array]:
        """What gives the chunk as ``large_string`` once the bytes have moved."""
        planned = chunk if pt.is_large_string(chunk.type) else widen(chunk, self._moves.outputs)
        if isinstance(planned, pa.Array):
            return lambda: planned
        self._moves.add(planned.job, planned.piece)
        return planned.finish

    def _plan_converted(self, group: Group) -> None:
        if not group.extension:
            self._left += group.positions.tolist()
            return
        for position in group.positions.tolist():
            column = self._column(position)
            made = by_pyarrow.from_extension(group.dtype, column.dictionary_encode() if group.encoded else column)
            self._add(partial(lambda array: array, made), position)

    # -- Python objects, and what did not fit --------------------------------------------------------------------------

    def _plan_repeated(self, group: Group) -> None:
        for position, member in self._members(group):
            if pt.is_boolean(group.arrow):
                values, mask = (self._moves.outputs.new((self._rows,), np.int8) for _ in range(2))
                self._moves.set(member, _bytes(group) | {"pandas_at": address_of(values), "mask_at": address_of(mask)})
                self._repeated[position] = partial(share_truths, values, mask)
            else:
                days = self._moves.outputs.new((self._rows,), np.int32)
                self._moves.set(member, _copied(group) | {"fill": NULL_DAY, "values_at": address_of(days)})
                self._repeated[position] = partial(share_dates, days)

    def _repeated_objects(self) -> list[Block]:
        if not self._repeated:
            return []
        where = np.array(sorted(self._repeated), np.intp)
        block = np.empty((len(where), self._rows), object)
        for row, position in enumerate(where.tolist()):
            self._repeated[position](block[row], self._moves.threads)
        if self._options["split_blocks"]:
            return [(block[row : row + 1], where[row : row + 1]) for row in range(len(where))]
        return [(block, where)]

    def _convert(self, left: Positions, categories: Sequence[str]) -> list[Block]:
        """PyArrow's own conversion of the columns that are left."""
        names = [self._names[position] for position in left.tolist()]
        table = pa.Table.from_arrays([self._column(position) for position in left.tolist()], names)
        if self._destroys:
            for position in left.tolist():
                self._columns[position] = None
        # Split below: PyArrow 26 cannot split extension types.
        options = {**self._options, "split_blocks": False}
        made: list[Block] = []
        for array, where in by_pyarrow.convert_columns(table, options, categories):
            positions = left[np.asarray(where)]
            if array.ndim == 1:
                made.append((array, positions))
                continue
            for row, position in enumerate(positions.tolist()):
                if position in self._overflow_rows:
                    self._overflow_rows[position][:] = array[row]
                else:
                    made.append((array[row : row + 1], positions[row : row + 1]))
        return made


def _is_zoned(group: Group) -> bool:
    return pt.is_timestamp(group.arrow) and group.arrow.tz is not None


def _joined(blocks: list[Block]) -> list[Block]:
    """Blocks of one NumPy dtype as one, its columns in order: PyArrow's beside ours, objects from two sources."""
    by_dtype: dict[Any, list[Block]] = {}
    made = []
    for block in blocks:
        if isinstance(block[0], np.ndarray) and block[0].ndim == 2:
            by_dtype.setdefault(block[0].dtype, []).append(block)
        else:
            made.append(block)
    for parts in by_dtype.values():
        if len(parts) == 1:
            made += parts
            continue
        arrays, places = zip(*parts, strict=True)
        where = np.concatenate(places)
        order = np.argsort(where)
        made.append((np.concatenate(arrays)[order], where[order]))
    return made
