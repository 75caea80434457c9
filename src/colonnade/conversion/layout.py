"""Plans the memory of a frame: the outputs, and for each column its place in them and the job that writes it.

A layout depends on the schema, the options, and which columns have nulls; tables that agree in these share it. Its jobs
say how many rows they have and where their outputs are only when they are run: see ``move_columns``.
Does not depend on: values, chunks, pandas' arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.types as pt

from colonnade.conversion.groups import Group
from colonnade.conversion.objects import NULL_DAY
from colonnade.core.jobs import ELEMENT, JOB, PandasBuffer, Validity, Values
from colonnade.rules import Reading, fill_pattern

Positions = npt.NDArray[np.intp]

# Nanoseconds in a unit; dates count days (32 bits) or milliseconds (64 bits).
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_DAY = 86_400 * 10**9


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
IN_BLOCK: dict[Reading, tuple[Callable[[Group], dict[str, int]], str]] = {
    Reading.VALUES: (_copied, "values_at"),
    Reading.BYTES: (_bytes, "pandas_at"),
    Reading.FLOAT64: (_float64, "pandas_at"),
    Reading.SCALED: (_scaled, "pandas_at"),
}


_PLACES = ("values_at", "bitmap_at", "mask_at", "pandas_at")


def has_outputs(jobs: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which jobs write anything."""
    writes: npt.NDArray[np.bool_] = np.logical_or.reduce([jobs[place] != -1 for place in _PLACES])
    return writes


class Output(NamedTuple):
    """An array of shape (columns, rows) that is written."""

    columns: int
    dtype: np.dtype[Any]


class OwnArray(NamedTuple):
    """A column that gets an array of its own, and the outputs that its job writes for it."""

    position: int
    member: int
    group: Group
    outputs: tuple[int, ...]


class Layout:
    """Where each column goes, in PyArrow's order of blocks.

    ``jobs`` are those of the columns at ``import_positions``, in order. ``blocks`` are the NumPy blocks: an output and
    the positions of its columns, by their first column. ``objects`` are the columns of the block of Python objects, and
    ``own`` those with an array of their own, from the last to the first. PyArrow converts the columns at
    ``by_pyarrow``. ``overflow_rows`` are the places (output, row) of values that may overflow.

    With ``split`` each column has a block of its own, and those that are ``whole`` (imported columns of one chunk) are
    read in place where they can be.
    """

    def __init__(
        self, groups: Sequence[Group], import_positions: Positions, *, split: bool, whole: npt.NDArray[np.bool_]
    ) -> None:
        self.groups = groups
        self.import_positions = import_positions
        self.jobs = np.zeros(len(import_positions), JOB)
        self.jobs["first_piece"] = np.arange(len(import_positions))
        self.jobs["validity"] = Validity.BITS
        for place in _PLACES:
            self.jobs[place] = -1
        self.outputs: list[Output] = []
        self.blocks: list[tuple[int, Positions]] = []
        self.own: list[OwnArray] = []
        self.objects: list[OwnArray] = []
        self.by_pyarrow: list[int] = []
        self.overflow_rows: dict[int, tuple[int, int]] = {}
        self._plan_blocks([group for group in groups if group.rule.reading in IN_BLOCK], split, whole)
        for group in groups:
            if group.rule.reading is Reading.MASKED:
                self._plan_masked(group)
            elif group.rule.reading is Reading.REPEATED:
                self._plan_objects(group)
            elif group.rule.reading is Reading.CONVERTED and not group.is_given:
                self.by_pyarrow += group.positions.tolist()
            elif group.rule.reading not in IN_BLOCK:
                members = group.members if len(group.members) else np.full(len(group.positions), -1)
                for position, member in zip(group.positions.tolist(), members.tolist(), strict=True):
                    self.own.append(OwnArray(position, member, group, ()))
        self.blocks.sort(key=lambda block: int(block[1][0]))
        self.own.sort(key=lambda column: column.position, reverse=True)
        self.objects.sort(key=lambda column: column.position)
        self.by_pyarrow.sort()
        self.is_moved = bool(has_outputs(self.jobs).any())
        self.jobs.setflags(write=False)  # the layout serves many tables

    def _output(self, columns: int, dtype: Any) -> int:
        self.outputs.append(Output(columns, np.dtype(dtype)))
        return len(self.outputs) - 1

    def _set(self, members: Positions | int, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            self.jobs[name][members] = value

    def _plan_blocks(self, groups: Sequence[Group], split: bool, whole: npt.NDArray[np.bool_]) -> None:
        by_dtype: dict[np.dtype[Any], list[Group]] = {}
        for group in groups:
            fields, place = IN_BLOCK[group.rule.reading]
            self._set(group.members, fields(group))
            has_zone = is_zoned(group)
            if not split and not has_zone:
                by_dtype.setdefault(group.dtype, []).append(group)
                continue
            in_place = split and group.rule.reading is Reading.VALUES and not group.nulls
            for position, member in zip(group.positions.tolist(), group.members.tolist(), strict=True):
                if in_place and whole[member]:
                    self.own.append(OwnArray(position, member, group, ()))
                    continue
                output = self._output(1, group.dtype)
                self._set(member, {place: output << 32})
                if has_zone:
                    self.own.append(OwnArray(position, member, group, (output,)))
                else:
                    self.blocks.append((output, np.array([position])))
                    self._may_overflow(group, [position], output, [0])
        for dtype, parts in by_dtype.items():
            positions = np.sort(np.concatenate([group.positions for group in parts]))
            output = self._output(len(positions), dtype)
            self.blocks.append((output, positions))
            for group in parts:
                _, place = IN_BLOCK[group.rule.reading]
                rows = np.searchsorted(positions, group.positions)
                self._set(group.members, {place: (output << 32) + rows})
                self._may_overflow(group, group.positions.tolist(), output, rows.tolist())

    def _may_overflow(self, group: Group, positions: list[int], output: int, rows: list[int]) -> None:
        if group.rule.reading is Reading.SCALED:
            self.overflow_rows |= {position: (output, row) for position, row in zip(positions, rows, strict=True)}

    def _plan_masked(self, group: Group) -> None:
        fields, place = (_bytes(group), "pandas_at") if pt.is_boolean(group.arrow) else (_copied(group), "values_at")
        for position, member in zip(group.positions.tolist(), group.members.tolist(), strict=True):
            values, mask = self._output(1, group.dtype.numpy_dtype), self._output(1, np.bool_)
            self._set(member, fields | {place: values << 32, "mask_at": mask << 32})
            self.own.append(OwnArray(position, member, group, (values, mask)))

    def _plan_objects(self, group: Group) -> None:
        for position, member in zip(group.positions.tolist(), group.members.tolist(), strict=True):
            if pt.is_boolean(group.arrow):
                values, mask = self._output(1, np.int8), self._output(1, np.int8)
                self._set(member, _bytes(group) | {"pandas_at": values << 32, "mask_at": mask << 32})
                self.objects.append(OwnArray(position, member, group, (values, mask)))
            else:
                days = self._output(1, np.int32)
                self._set(member, _copied(group) | {"fill": NULL_DAY, "values_at": days << 32})
                self.objects.append(OwnArray(position, member, group, (days,)))


def is_zoned(group: Group) -> bool:
    """Whether a group becomes times with a zone, which are not NumPy's."""
    return group.rule.reading in IN_BLOCK and bool(pt.is_timestamp(group.arrow)) and group.arrow.tz is not None
