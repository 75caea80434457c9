"""Makes the blocks of a frame from Arrow columns, as its layout says.

One run of the core moves all columns that have a job. pandas and PyArrow convert what has no job of its own. They also
convert a column with a value that is not representable (a time beyond its unit, an index beyond its dictionary), and so
raise their own error about it.
Does not depend on: labels, indexes, how jobs are run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.types as pt

from colonnade import _core
from colonnade.conversion.categories import Categories
from colonnade.conversion.dictionaries import UnitedDictionary, unite
from colonnade.conversion.layout import IN_BLOCK, Layout, OwnArray, Positions, has_outputs, is_zoned
from colonnade.conversion.objects import share_bools, share_dates
from colonnade.conversion.strings import widen
from colonnade.core.buffers import Outputs, address_of
from colonnade.core.jobs import ELEMENT, PandasBuffer, as_numbers
from colonnade.dtype_kinds import codes_dtype
from colonnade.interop import pandas as internals
from colonnade.interop import pyarrow as by_pyarrow
from colonnade.interop.pandas_options import PandasOptions
from colonnade.rules import Reading

Block = tuple[Any, Positions]

# With self_destruct: when this many bytes have been freed, they are returned to the operating system.
_RELEASE_STEP = 32 << 20
# With self_destruct: columns are moved in groups of this many bytes, and each group is freed.
_MOVED_TOGETHER = 1 << 20


class BlockMaker:
    """Makes the blocks of one frame, once.

    With the option ``self_destruct`` the memory of each column is freed after it was moved, and the table must not be
    used afterwards.
    """

    def __init__(
        self,
        table: pa.Table,
        arrays: _core.ImportedArrays,
        layout: Layout,
        categories: Categories,
        options: PandasOptions,
    ) -> None:
        self._schema = table.schema
        self._rows: int = table.num_rows
        self._arrays = arrays
        self._layout = layout
        self._categories = categories
        self._options = options
        self._threads = 0 if options.use_threads else 1
        self._memory = Outputs()
        self._outputs: list[npt.NDArray[Any]] = []
        self._jobs = layout.jobs
        self._keep: list[Any] = []
        # Columns that turn out to be PyArrow's to convert.
        self._converted_by_pyarrow: list[int] = []
        self._destroys = bool(options.self_destruct)
        self._column: Callable[[int], Any] = table.column
        if self._destroys:
            arrays.release()
            self._columns = by_pyarrow.take_columns(table, options)
            self._column = self._columns.__getitem__

    def make(self) -> list[Block]:
        """Make the blocks, in PyArrow's order. Each is an array and the positions of its columns."""
        layout = self._layout
        self._outputs = [self._memory.new((columns, self._rows), dtype) for columns, dtype in layout.outputs]
        own = [(self._make(column), column.position) for column in layout.own]
        overflows = self._move()
        blocks: list[Block] = [(self._outputs[output], positions) for output, positions in layout.blocks]
        if layout.objects:
            blocks += self._make_objects()
        others = [(a, np.array([p])) for a, p in own if a is not None and p not in overflows]
        by_others = [*layout.by_pyarrow, *self._converted_by_pyarrow, *overflows]
        if by_others:
            blocks += [*others, *self._convert(np.sort(np.array(by_others, np.intp)))]
            return self._in_order(blocks if self._options.split_blocks else _joined(blocks))
        if layout.objects or self._options.split_blocks:
            return self._in_order([*blocks, *others])
        return [*blocks, *others]

    def _in_order(self, blocks: list[Block]) -> list[Block]:
        """PyArrow's order: NumPy's blocks by their first column, then the other columns from the last to the first.

        PyArrow takes both from hash tables: that is the order in which these give a handful, and any order is theirs
        for more.
        """
        if self._options.split_blocks:
            return sorted(blocks, key=_first_position)
        numpy_blocks = [block for block in blocks if _is_numpy(block)]
        others = [block for block in blocks if not _is_numpy(block)]
        return sorted(numpy_blocks, key=_first_position) + sorted(others, key=_first_position, reverse=True)

    def _output(self, number: int) -> npt.NDArray[Any]:
        array: npt.NDArray[Any] = self._outputs[number][0]
        return array

    # -- the run of the core -------------------------------------------------------------------------------------------

    def _move(self) -> list[int]:
        """Move all columns that have a job; returns the positions of those that overflowed."""
        if not self._destroys:
            if not self._layout.is_moved and self._jobs is self._layout.jobs:
                return []
            self._memory.touch(self._threads)
            return self._move_some(0, len(self._jobs))
        step = max(1, _MOVED_TOGETHER // (8 * self._rows + 1))
        overflows, free_bytes = [], 0
        for first in range(0, len(self._jobs), step):
            overflows_here = self._move_some(first, first + step)
            overflows += overflows_here
            step_jobs = self._jobs[first : first + step]
            positions = self._layout.import_positions[first : first + step][has_outputs(step_jobs)]
            for position in positions.tolist():
                if position not in overflows_here:
                    free_bytes += self._columns[position].nbytes
                    self._columns[position] = None
            if free_bytes >= _RELEASE_STEP:
                # Arrow's pools return memory to the operating system only when they are asked to.
                pa.default_memory_pool().release_unused()
                free_bytes = 0
        return overflows

    def _move_some(self, first: int, last: int) -> list[int]:
        numbers = as_numbers(self._jobs[first:last])
        overflows = _core.move_columns(self._arrays, numbers, self._outputs, self._rows, self._threads)
        return [int(self._layout.import_positions[first + number]) for number in overflows]

    # -- arrays of their own -------------------------------------------------------------------------------------------

    def _make(self, column: OwnArray) -> Any:
        """A column's array, whose memory is written later; None if PyArrow converts it."""
        group, reading = column.group, column.group.rule.reading
        if reading is Reading.MASKED:
            return internals.make_masked(group.dtype, *map(self._output, column.outputs))
        if reading is Reading.STRING:
            return self._make_strings(column)
        if reading is Reading.CODES:
            return self._make_categorical(column)
        if reading in IN_BLOCK:
            values = self._output(column.outputs[0]) if column.outputs else self._view(column.position, group.dtype)
            if not is_zoned(group):
                return values.reshape(1, -1)
            dtype = by_pyarrow.zoned_dtype(group.arrow, np.datetime_data(group.dtype)[0])
            return internals.make_datetimes(values, dtype)
        array = self._column(column.position)
        return by_pyarrow.from_extension(group.dtype, array.dictionary_encode() if group.is_encoded else array)

    def _make_strings(self, column: OwnArray) -> Any:
        chunks = self._column(column.position).chunks
        if pt.is_string(column.group.arrow):
            chunks = [widen(chunk, self._threads) for chunk in chunks]
        return internals.make_strings(pa.chunked_array(chunks, _LARGE_STRING), column.group.dtype)

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

    def _make_categorical(self, column: OwnArray) -> Any:
        position, group = column.position, column.group
        array = self._column(position)
        common = unite(array)
        categories = None if common is None else self._categories.of(position, common.dictionary, group, self._options)
        codes = None if common is None or categories is None else self._codes(array, column, common)
        if codes is None or categories is None:
            self._converted_by_pyarrow.append(position)
            return None
        return internals.make_categorical(codes, categories, group.arrow.ordered)

    def _codes(self, array: pa.ChunkedArray, column: OwnArray, common: UnitedDictionary) -> npt.NDArray[Any] | None:
        """The codes of a dictionary column; None if PyArrow must look at them."""
        limit, group, member = len(common.dictionary), column.group, column.member
        index_type, dtype = group.arrow.index_type, codes_dtype(limit)
        if not group.nulls and str(index_type) == dtype and array.num_chunks == 1:
            codes = self._view(column.position, dtype)
            # As unsigned numbers, negative ones are large.
            return codes if len(codes) == 0 or codes.view(f"u{codes.itemsize}").max() < limit else None
        if common.maps is not None:
            if len(common.maps) != self._arrays.count_pieces(member):
                return None
            self._arrays.renumber(member, [(address_of(numbers), len(numbers)) for numbers in common.maps])
            self._keep.append(common.maps)
        if self._jobs is self._layout.jobs:
            self._jobs = self._jobs.copy()  # the layout is that of other tables too
        job = self._jobs[member]
        job["width"], job["element"], job["operand"] = index_type.bit_width // 8, ELEMENT[str(index_type)], limit
        job["pandas_buffer"], job["pandas_element"] = PandasBuffer.CODES, ELEMENT[dtype]
        job["pandas_at"] = len(self._outputs) << 32
        self._outputs.append(self._memory.new((1, self._rows), np.dtype(dtype)))
        return self._output(len(self._outputs) - 1)

    # -- Python objects, and columns that overflowed -------------------------------------------------------------------

    def _make_objects(self) -> list[Block]:
        """Make the block of dates and of booleans with nulls from the memory that the jobs wrote."""
        columns = self._layout.objects
        where = np.array([column.position for column in columns], np.intp)
        block = np.empty((len(where), self._rows), object)
        for row, column in enumerate(columns):
            share: Callable[..., None] = share_bools if pt.is_boolean(column.group.arrow) else share_dates
            share(*map(self._output, column.outputs), block[row], self._threads)
        if self._options.split_blocks:
            return [(block[row : row + 1], where[row : row + 1]) for row in range(len(where))]
        return [(block, where)]

    def _convert(self, left: Positions) -> list[Block]:
        """Convert the remaining columns with PyArrow's own code."""
        names = [self._schema.names[position] for position in left.tolist()]
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
                if position in self._layout.overflow_rows:
                    output, place = self._layout.overflow_rows[position]
                    self._outputs[output][place] = array[row]
                else:
                    blocks.append((array[row : row + 1], positions[row : row + 1]))
        return blocks


_LARGE_STRING = pa.large_string()


def _is_numpy(block: Block) -> bool:
    return isinstance(block[0], np.ndarray) and block[0].ndim == 2


def _joined(blocks: list[Block]) -> list[Block]:
    """Join the blocks of each NumPy dtype, columns in order: PyArrow's and ours, and objects from two sources."""
    by_dtype: dict[Any, list[Block]] = {}
    for block in blocks:
        if _is_numpy(block):
            by_dtype.setdefault(block[0].dtype, []).append(block)
    result = [block for block in blocks if not _is_numpy(block)]
    for parts in by_dtype.values():
        if len(parts) == 1:
            result += parts
            continue
        arrays, places = zip(*parts, strict=True)
        where = np.concatenate(places)
        order = np.argsort(where)
        result.append((np.concatenate(arrays)[order], where[order]))
    return result


def _first_position(block: Block) -> int:
    return int(block[1][0])
