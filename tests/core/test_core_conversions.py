"""Conversions of the core, compared with NumPy: numbers to other types, times to other units, codes of dictionaries."""

import mmap

import numpy as np
import pytest

from colonnade import _core
from colonnade.core import jobs
from colonnade.core.jobs import Job, PandasBuffer, Piece, Validity, Values
from colonnade.core.regions import Region
from support.core_runs import at, bits_at, pack, run
from support.memory import address

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.mark.parametrize("element", [name for name in jobs.ELEMENT if "int" in name])
@pytest.mark.parametrize("code", ["int8", "int16", "int32", "int64"])
def test_pandas_buffers_of_integers(element, code):
    rng = np.random.default_rng(1)
    rows = 3000
    values = rng.integers(0, 100, rows).astype(element)
    valid = rng.random(rows) < 0.8
    bitmap = pack(valid, 5)
    pieces = [Piece(address(values) - 5 * values.itemsize, values.itemsize, address(bitmap), 5, rows)]
    shared = {"width": values.itemsize, "validity_kind": Validity.BITS, "element": element}
    width = np.dtype(code).itemsize
    codes = Job(
        rows,
        pieces,
        Values.FIXED,
        **shared,
        pandas_kind=PandasBuffer.CODES,
        pandas_element=f"int{8 * width}",
        values=Region(values.nbytes),
        pandas_buffer=Region(rows * width),
    )
    floats = Job(
        rows,
        pieces,
        Values.FIXED,
        **shared,
        pandas_kind=PandasBuffer.FLOAT64,
        pandas_element="float64",
        values=Region(values.nbytes),
        pandas_buffer=Region(rows * 8),
    )
    out = run([codes, floats], "file")
    np.testing.assert_array_equal(
        at(out, codes.pandas_buffer, code), np.where(valid, values, 0).astype(code) - (~valid).astype(code)
    )
    np.testing.assert_array_equal(at(out, floats.pandas_buffer, "f8"), np.where(valid, values.astype("f8"), np.nan))
    np.testing.assert_array_equal(at(out, codes.values, element), np.where(valid, values, 0))


@pytest.mark.parametrize("code", ["int8", "int16", "int32", "int64"])
def test_codes_with_minus_one(code):
    values = np.random.default_rng(1).integers(-1, 100, 5000).astype(code)
    job = Job(5000, [Piece(address(values), values.itemsize, 0, 0, 5000)], Values.FIXED, width=values.itemsize, validity_kind=Validity.NEGATIVE, element=code,
              pandas_kind=PandasBuffer.CODES, pandas_element=code, values=Region(values.nbytes), bitmap=Region(625), pandas_buffer=Region(values.nbytes))  # fmt: skip
    out = run([job], "memory")
    np.testing.assert_array_equal(at(out, job.values, code), np.maximum(values, 0))
    np.testing.assert_array_equal(at(out, job.pandas_buffer, code), values)
    np.testing.assert_array_equal(bits_at(out, job.bitmap, 5000), values >= 0)


def convert(values, pandas_buffer, made, valid=None, through="memory", kind=Validity.BITS, **fields):
    """One column of a NumPy array through a pandas buffer alone; (output, whether there were overflows)."""
    valid = np.ones(len(values), bool) if valid is None else valid
    bitmap = pack(valid, 3)
    out = np.zeros(len(values), made)
    job, piece = np.zeros(1, jobs.JOB), np.zeros(1, jobs.PIECE)
    job["rows"], job["piece_count"], job["width"] = len(values), 1, values.itemsize
    job["element"], job["pandas_buffer"], job["pandas_element"] = (
        jobs.ELEMENT[values.dtype.name],
        pandas_buffer,
        jobs.ELEMENT[made],
    )
    job["validity"], job["operand"] = kind, jobs.NO_LIMIT
    job["values_at"] = job["bitmap_at"] = job["mask_at"] = -1
    job["pandas_at"] = address(out)
    piece["values"], piece["stride"] = address(values) - 3 * values.itemsize, values.itemsize
    piece["validity"], piece["offset"], piece["length"] = address(bitmap), 3, len(values)
    for name, value in fields.items():
        (piece if name in jobs.PIECE.names else job)[name] = value
    stream_from = 0 if through == "streamed memory" else 1 << 40
    result = jobs.into_memory(job, piece, outputs=[out.view(np.uint8)], stream_from=stream_from)
    assert result["nulls"][0] == len(values) - valid.sum()
    return out, bool(result["overflows"][0])


@pytest.mark.parametrize("through", ["memory", "streamed memory"])
@pytest.mark.parametrize("element", [name for name in jobs.ELEMENT if "int" in name])
def test_integers_become_the_nearest_float64(element, through):
    info = np.iinfo(element)
    rng = np.random.default_rng(5)
    edges = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, info.max // 2, info.max // 3]
    if info.bits == 64:  # where two floats are equally near, and on both sides of it
        edges += [2**53 + i for i in range(-3, 4)] + [2**62 + 2**9 * i + j for i in (1, 2, 3) for j in (-1, 0, 1)]
    values = np.array([*edges, *rng.integers(info.min, info.max, 5000, element, endpoint=True)], element)
    valid = rng.random(len(values)) < 0.9
    result, overflows = convert(values, PandasBuffer.FLOAT64, "float64", valid, through)
    np.testing.assert_array_equal(result, np.where(valid, values.astype(float), np.nan))
    assert not overflows


@pytest.mark.parametrize("element", ["int32", "int64"])
def test_times_change_their_unit_or_do_not_fit(element):
    values = np.array([0, 1, -1, 2**31 - 1, -(2**31), 106_751, -106_751] * 400, element)
    valid = np.arange(len(values)) % 3 > 0
    result, overflows = convert(values, PandasBuffer.SCALED, "int64", valid, operand=1000)
    np.testing.assert_array_equal(result, np.where(valid, values.astype(np.int64) * 1000, np.iinfo(np.int64).min))
    assert not overflows
    day = 86_400 * 10**9
    assert not convert(np.array([106_751, -106_751], element), PandasBuffer.SCALED, "int64", operand=day)[1]
    for beyond in (106_752, -106_752):
        values[1000] = beyond
        valid[:] = False
        valid[1000] = True
        assert convert(values, PandasBuffer.SCALED, "int64", valid, operand=day)[1]
        valid[1000] = False
        assert not convert(values, PandasBuffer.SCALED, "int64", valid, operand=day)[1]


@pytest.mark.parametrize("element", ["float32", "float64"])
@pytest.mark.parametrize("made", [name for name in jobs.ELEMENT if "int" in name])
def test_whole_floats_become_integers_or_do_not_fit(element, made):
    info = np.iinfo(made)
    values = np.array([0.0, -0.0, 1, 100, 127, info.min] * 100, element)
    values[1::7] = np.nan
    valid = ~np.isnan(values)
    out, overflows = convert(values, PandasBuffer.INTEGERS, made, valid, kind=Validity.NAN32 if element == "float32" else Validity.NAN64)  # fmt: skip
    np.testing.assert_array_equal(out, np.where(valid, np.nan_to_num(values), 0).astype(made))
    assert not overflows
    # The first that does not fit on either side, one that is not whole, and none at all.
    low = np.nextafter(np.array(info.min, element), np.array(-np.inf, element))
    for bad in (float(info.max) + 1, low if abs(low - info.min) >= 1 else info.min - 1.0, 0.5, -0.5, np.inf, -np.inf):
        one = np.zeros(70, element)
        one[66] = bad
        assert convert(one, PandasBuffer.INTEGERS, made)[1], bad


@pytest.mark.parametrize("element", [name for name in jobs.ELEMENT if "int" in name])
@pytest.mark.parametrize("code", ["int8", "int16", "int32"])
@pytest.mark.parametrize("through", ["memory", "streamed memory"])
def test_codes_stay_within_their_dictionary(element, code, through):
    rng = np.random.default_rng(2)
    values = rng.integers(0, 100, 3000).astype(element)
    valid = rng.random(3000) < 0.8
    result, overflows = convert(values, PandasBuffer.CODES, code, valid, through, operand=100)
    np.testing.assert_array_equal(result, np.where(valid, values, 0).astype(code) - (~valid).astype(code))
    assert not overflows
    wrong = [100, np.iinfo(element).max] + ([-1, np.iinfo(element).min] if element.startswith("int") else [])
    for index in wrong:
        values[2500], valid[2500] = index, True
        result, overflows = convert(values, PandasBuffer.CODES, code, valid, through, operand=100)
        assert overflows, index
        valid[2500] = False  # beneath a null anything may stand
        assert not convert(values, PandasBuffer.CODES, code, valid, through, operand=100)[1]


def test_codes_of_united_dictionaries():
    values = np.random.default_rng(2).integers(0, 50, 3000).astype(np.uint16)
    numbers = np.random.default_rng(3).permutation(50).astype(np.int32)
    result, overflows = convert(values, PandasBuffer.CODES, "int8", map=address(numbers), map_length=50)
    np.testing.assert_array_equal(result, numbers[values])
    assert not overflows
    assert convert(values, PandasBuffer.CODES, "int8", map=address(numbers), map_length=49)[1]


MAP_NORESERVE = 0x4000  # which the mmap module does not name before Python 3.13


def test_more_rows_than_31_bits_count():
    """Reads 2 GiB, nearly all of them the kernel's page of zeros, and writes a bitmap of 256 MiB."""
    rows = 2**31 + 77
    source = mmap.mmap(-1, rows, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
    source.madvise(mmap.MADV_HUGEPAGE)
    values = np.frombuffer(source, np.uint8)
    marked = [0, 63, 2**31 - 1, 2**31, 2**31 + 1, rows - 1]
    values[marked] = 1
    out = np.frombuffer(_core.Buffer((rows + 7) // 8), np.uint8)
    job, piece = np.zeros(1, jobs.JOB), np.zeros(1, jobs.PIECE)
    job["rows"], job["piece_count"], job["width"], job["values"] = rows, 1, 1, Values.BYTES_TO_BITS
    job["values_at"], job["bitmap_at"], job["mask_at"], job["pandas_at"] = address(out), -1, -1, -1
    piece["values"], piece["stride"], piece["length"] = address(values), 1, rows
    jobs.into_memory(job, piece, outputs=[out])
    where = np.flatnonzero(out)
    assert [int(byte) * 8 + bit for byte in where for bit in range(8) if out[byte] >> bit & 1] == marked
    del values
