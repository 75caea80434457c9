"""Every field of a plan gets every kind of wrong value: the core refuses it, or the result does not change.

The oracle: a plan that the core accepts writes nothing outside of its outputs, and where a field is not used, the outputs and
the results are those of the plan with the field's usual value. Sources end at a page that may not be read, so a read past
their end is a crash. The tests run in the process of the test: a crash is a failure.
"""

import ctypes
import itertools
import mmap
from enum import IntEnum
from functools import partial

import numpy as np
import pytest

from colonnade import _core
from colonnade.core import jobs
from colonnade.core.jobs import ELEMENT, JOB, PIECE, PandasBuffer, Validity, Values
from support.memory import address

ROWS = 100
GUARD = 4096
Element = IntEnum("Element", _core.enumerators()["Element"], start=0)
ENUMS = {"values": Values, "validity": Validity, "element": Element, "pandas_buffer": PandasBuffer, "pandas_element": Element}  # fmt: skip
EXTREMES = [-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 4, 5, 8, 16, 99, 2**31, 2**32 - 1, 2**47, 2**62, 2**63 - 1]

libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Guarded:
    """Memory of so many bytes that ends at an unreadable page."""

    def __init__(self, size):
        pages = -(-size // mmap.PAGESIZE) + 1
        self._map = mmap.mmap(-1, pages * mmap.PAGESIZE)
        whole = np.frombuffer(self._map, np.uint8)
        end = (pages - 1) * mmap.PAGESIZE
        assert libc.mprotect(address(whole) + end, mmap.PAGESIZE, 0) == 0
        self.bytes = whole[end - size : end]


def integers(width):
    return {"width": width, "element": ELEMENT[f"int{8 * width}"]}


# Plans of one job each; what they do not name is 0, or -1 for a place that is not written. "at": which places are.
PLANS = {
    "fixed": {"values": Values.FIXED, "width": 4, "validity": Validity.BITS, "at": ["values_at", "bitmap_at", "mask_at"]},
    "strided": {"values": Values.FIXED, "width": 4, "stride": 8, "at": ["values_at"]},
    "wide": {"values": Values.FIXED, "width": 16, "validity": Validity.MASK, "at": ["values_at"]},
    "nan": {"values": Values.FIXED, "width": 8, "validity": Validity.NAN64, "at": ["values_at", "bitmap_at"]},
    "indices": {"values": Values.INDICES, **integers(4), "operand": 7, "validity": Validity.BITS, "at": ["values_at"]},
    "bits": {"values": Values.BITS, "pandas_buffer": PandasBuffer.BYTES, "pandas_element": ELEMENT["uint8"], "at": ["values_at", "pandas_at"]},
    "bytes": {"values": Values.BYTES_TO_BITS, "width": 1, "validity": Validity.MASK, "at": ["values_at"]},
    "offsets": {"values": Values.OFFSETS32, "out_width": 8, "at": ["values_at"]},
    "float64": {**integers(2), "pandas_buffer": PandasBuffer.FLOAT64, "pandas_element": ELEMENT["float64"], "validity": Validity.BITS, "at": ["pandas_at"]},
    "codes": {**integers(1), "pandas_buffer": PandasBuffer.CODES, "pandas_element": ELEMENT["int16"], "operand": 9, "at": ["pandas_at"]},
    "mapped": {**integers(1), "pandas_buffer": PandasBuffer.CODES, "pandas_element": ELEMENT["int8"], "operand": 9, "map_length": 5, "at": ["pandas_at"]},
    "scaled": {**integers(8), "pandas_buffer": PandasBuffer.SCALED, "pandas_element": ELEMENT["int64"], "operand": 3, "at": ["pandas_at"]},
    "integers": {"width": 8, "element": ELEMENT["float64"], "pandas_buffer": PandasBuffer.INTEGERS, "pandas_element": ELEMENT["int32"], "at": ["pandas_at"]},
    "negative": {"values": Values.FIXED, **integers(2), "validity": Validity.NEGATIVE, "at": ["values_at", "mask_at"]},
    "scan": {"validity": Validity.BITS, "at": ["bitmap_at"]},
}  # fmt: skip


class OnePlan:
    """A plan of one job and one piece, its sources and its outputs."""

    def __init__(self, fields):
        fields = dict(fields)
        rng = np.random.default_rng(1)
        width = fields.get("width", 0)
        stride = fields.pop("stride", width)
        source = ROWS * 4 if fields.get("values") == Values.OFFSETS32 else ROWS * stride if width else (ROWS + 7) // 8
        self.job, self.piece = np.zeros(1, JOB), np.zeros(1, PIECE)
        self.values = Guarded(source)
        self.values.bytes[:] = rng.integers(0, 256, source)
        kind = fields.get("validity", Validity.NONE)
        self.validity = Guarded({Validity.BITS: (ROWS + 7) // 8, Validity.MASK: ROWS}.get(kind, 1))
        self.validity.bytes[:] = 0x5A
        # Each output between bytes that may not change.
        self.memory = np.full(6 * GUARD, 0xEE, np.uint8)
        start = -(-address(self.memory) // 64) * 64 - address(self.memory)
        self.places = {name: start + number * GUARD for number, name in enumerate(["values_at", "bitmap_at", "mask_at", "pandas_at"], 1)}  # fmt: skip
        self.job["rows"], self.job["piece_count"] = ROWS, 1
        for name in self.places:
            self.job[name] = -1
        for name in fields.pop("at"):
            self.job[name] = address(self.memory) + self.places[name]
        self.piece["values"], self.piece["stride"] = address(self.values.bytes), stride
        if kind in (Validity.BITS, Validity.MASK):
            self.piece["validity"] = address(self.validity.bytes)
        self.piece["length"], self.piece["base"] = ROWS, -1
        if "map_length" in fields:
            length = fields.pop("map_length")
            self.map = Guarded(4 * length)
            self.map.bytes.view(np.int32)[:] = np.arange(length)[::-1]
            self.piece["map"], self.piece["map_length"] = address(self.map.bytes), length
        for name, value in fields.items():
            self.job[name] = value

    def sizes(self):
        """The bytes that each output of the usual plan has."""
        job = self.job[0]
        width = {Values.OFFSETS32: 8, Values.BITS: 0, Values.BYTES_TO_BITS: 0}.get(
            Values(int(job["values"])), int(job["width"])
        )
        values = ROWS * width if width else (ROWS + 7) // 8
        pandas = ROWS * np.dtype(list(ELEMENT)[int(job["pandas_element"])]).itemsize
        return {"values_at": values, "bitmap_at": (ROWS + 7) // 8, "mask_at": ROWS, "pandas_at": pandas}

    def outputs(self):
        sizes = self.sizes()
        return {name: self.memory[at : at + sizes[name]] for name, at in self.places.items() if self.job[name][0] != -1}

    def run(self, outputs):
        self.memory[:] = 0xEE
        try:
            result = jobs.into_memory(self.job, self.piece, outputs=list(outputs.values()))
        except ValueError as error:
            return None if str(error).startswith("job 0: ") else str(error)
        changed = self.memory != 0xEE
        for name, output in outputs.items():
            at = self.places[name]
            changed[at : at + len(output)] = False
        assert not changed.any(), "bytes outside of the outputs were written"
        return result.tolist(), self.memory.tobytes()


def wrong_values(table, name):
    if name in ENUMS:
        return [*range(-2, len(ENUMS[name]) + 2), *EXTREMES]
    return EXTREMES


# Fields that have no wrong values: they describe the source, and each number means something.
FREE = {"fill", "operand", "offset", "base"}


@pytest.mark.parametrize("plan", PLANS)
def test_a_wrong_field_is_refused_or_changes_nothing(plan):
    one = OnePlan(PLANS[plan])
    outputs = one.outputs()
    usual = one.run(outputs)
    assert usual is not None
    refused = 0
    for table, name in [*((one.job, name) for name in JOB.names), *((one.piece, name) for name in PIECE.names)]:
        before = int(table[name][0])
        for value in wrong_values(table, name):
            if value == before or is_address(table, name, value) or reads_further(one, table, name, value):
                continue
            table[name] = value
            outcome = one.run(outputs)
            refused += outcome is None
            if outcome is not None and outcome != usual:
                assert may_change(one, name, value, before), f"{name}={value} was accepted and changes the outcome"
            table[name] = before
        assert one.run(outputs) == usual
    assert refused > 100


def is_address(table, name, value):
    """Whether a field is an address. The core cannot check one that is not 0, so Python must pass valid ones."""
    return table.dtype == PIECE and name in ("values", "validity", "map") and value != 0


def reads_further(one, table, name, value):
    """Whether a value reads behind the end of a source. The core does not know the length of a source."""
    if table.dtype != PIECE:
        if name == "validity":
            return value in (Validity.BITS, Validity.MASK)  # of another size than the one that there is
        return name == "values" and value == Values.OFFSETS64 and one.job["values"][0] == Values.OFFSETS32
    reads = (
        int(one.job["width"][0]) > 0 or one.job["values"][0] != Values.NONE or one.job["validity"][0] == Validity.BITS
    )
    if name == "offset":
        return reads and 0 < value < 2**59
    if name == "stride":
        return int(one.job["width"][0]) > 0 and abs(value) < 2**56
    if name == "map_length":
        return int(one.piece["map"][0]) != 0 and value > int(one.piece["map_length"][0])
    return False


def may_change(one, name, value, before):
    """Whether a value is valid and only means something else."""
    if name in FREE:
        return True
    if name in ("values", "width", "stride", "map", "validity", "map_length"):
        return True  # fixed and indices; narrower elements; a map or a bitmap that is not there; a shorter map
    if name in ("element", "pandas_element"):
        return (
            np.dtype(list(ELEMENT)[value]).itemsize == np.dtype(list(ELEMENT)[before]).itemsize
            or name == "pandas_element"
        )
    if name == "pandas_buffer":
        return value in (PandasBuffer.CODES, PandasBuffer.FLOAT64, PandasBuffer.SCALED)
    return (name.endswith("_at") and value == -1) or name == "out_width"  # fewer outputs


@pytest.mark.parametrize("kind", PandasBuffer)
@pytest.mark.parametrize("values", Values)
def test_every_combination_of_elements_is_refused_or_runs(values, kind):
    """All combinations of width, element and pandas_element. A plan that runs stays inside of its outputs."""
    ran = 0
    for width, element, pandas_element in itertools.product([0, 1, 2, 4, 8], ELEMENT.values(), ELEMENT.values()):
        fields = {"values": values, "width": width, "element": element, "pandas_buffer": kind, "pandas_element": pandas_element,
                  "operand": 5, "out_width": 8, "at": ["values_at"] * (values != Values.NONE) + ["pandas_at"] * (kind != PandasBuffer.NONE)}  # fmt: skip
        one = OnePlan(fields)
        if values == Values.OFFSETS64:
            one.values = Guarded(8 * ROWS)
            one.piece["values"] = address(one.values.bytes)
        ran += one.run({name: one.memory[at : at + 8 * ROWS] for name, at in one.places.items()}) is not None
        del one
    if values in (Values.BITS, Values.BYTES_TO_BITS):
        expected = kind in (PandasBuffer.NONE, PandasBuffer.BYTES)
    elif values in (Values.OFFSETS32, Values.OFFSETS64):
        expected = kind == PandasBuffer.NONE
    else:
        expected = kind != PandasBuffer.BYTES and (values, kind) != (Values.INDICES, PandasBuffer.INTEGERS)
    assert (ran > 0) == expected


def test_a_place_is_needed_for_each_kind_and_a_kind_for_each_place():
    for plan, fields in PLANS.items():
        one = OnePlan(fields)
        outputs = one.outputs()
        for name, kind in (("values_at", "values"), ("pandas_at", "pandas_buffer")):
            if one.job[kind][0] == 0:
                one.job[name] = address(one.memory) + one.places[name]
                with pytest.raises(ValueError, match=f"{name} is given, but there"):
                    jobs.into_memory(one.job, one.piece, outputs=[one.memory])
                one.job[name] = -1
            elif plan != "bits" or name == "pandas_at":
                place = int(one.job[name][0])
                one.job[name] = -1
                with pytest.raises(ValueError, match=f"{name}.* is missing"):
                    jobs.into_memory(one.job, one.piece, outputs=[one.memory])
                one.job[name] = place
        assert one.run(outputs) is not None


def test_vectors_need_aligned_outputs_in_memory():
    source, memory = np.zeros(ROWS), np.zeros(ROWS * 8 + 16, np.uint8)
    one = OnePlan(PLANS["nan"])
    one.job["bitmap_at"] = -1
    one.piece["values"] = address(source)
    for shift in range(1, 8):
        one.job["values_at"] = address(memory) + shift
        with pytest.raises(ValueError, match="values_at is not aligned"):
            jobs.into_memory(one.job, one.piece, outputs=[memory])


def test_the_tables_are_those_of_the_core():
    assert list(JOB.names) == _core.job_fields()
    assert jobs.Piece._fields == tuple(_core.piece_fields()) == PIECE.names
    names = _core.enumerators()
    assert [name.upper() for name in ELEMENT] == names.pop("Element")
    kinds = (Values, Validity, PandasBuffer)
    assert {kind.__name__: [member.name for member in kind] for kind in kinds} == names
    assert all([int(member) for member in kind] == list(range(len(kind))) for kind in kinds)


def test_indices_outside_of_their_dictionary_are_reported():
    for dtype, valid, size in itertools.product(
        ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"], [None, 70], [100, 64, 3000]
    ):
        values = np.arange(size).astype(dtype) % 50
        bad = [50, 120] + ([-1, -128] if dtype[0] == "i" else [])
        for index, row in itertools.product([0, *bad], [0, 63, size - 1]):
            source = values.copy()
            source[row] = index
            bits = np.ones(size, bool)
            if valid is not None:
                bits[row] = False  # the value under a null may be anything
            bitmap = np.packbits(bits, bitorder="little")
            region = jobs.Region(source.nbytes)
            job = jobs.Job(size, [jobs.Piece(address(source), source.itemsize, address(bitmap), 0, size)], Values.INDICES, width=source.itemsize,
                           validity_kind=Validity.BITS, element=source.dtype.name, operand=50, values=region)  # fmt: skip
            out = np.zeros(size, dtype)
            results = jobs.run(
                [jobs.Placed([job], {region: 0}, address(out))],
                partial(jobs.into_memory, outputs=[out.view(np.uint8)]),
            )
            assert results[job].overflows == (index in bad and valid is None), (dtype, index, row)
            assert results[job].nulls == (valid is not None)
            np.testing.assert_array_equal(out[bits], source[bits])
