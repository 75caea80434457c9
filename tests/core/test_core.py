"""The core alone, compared with NumPy: every operation, at every offset, through memory and through a file."""

import os
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade import _core
from colonnade.core import jobs
from colonnade.core.jobs import Job, PandasBuffer, Piece, Placed, Validity, Values
from colonnade.core.regions import Region
from support.core_runs import at, bits_at, pack, run
from support.memory import address

THROUGH = st.sampled_from(["memory", "streamed memory", "file"])

pytestmark = pytest.mark.usefixtures("kernels")


@st.composite
def pieces_of(draw):
    """Lengths of pieces, and an offset for each."""
    lengths = draw(st.lists(st.sampled_from([0, 1, 3, 8, 63, 64, 65, 500, 2048, 5000]), max_size=4))
    return [(length, draw(st.integers(0, 70))) for length in lengths]


@given(
    shape=pieces_of(),
    width=st.sampled_from([1, 2, 4, 8, 16, 32, 3]),
    nulls=st.booleans(),
    mask=st.booleans(),
    through=THROUGH,
    seed=st.integers(0, 999),
)
def test_fixed_width_with_bitmaps(shape, width, nulls, mask, through, seed):
    rng = np.random.default_rng(seed)
    keep, pieces, values, valid = [], [], [], []
    for length, offset in shape:
        source = rng.integers(0, 256, (offset + length, width), dtype=np.uint8)
        bits = rng.random(length) < 0.7 if nulls else np.ones(length, bool)
        bitmap = pack(bits, offset)
        keep += [source, bitmap]
        pieces.append(Piece(address(source), width, address(bitmap) if nulls else 0, offset, length))
        values.append(source[offset:])
        valid.append(bits)
    values, valid = (
        np.concatenate([np.empty((0, width), np.uint8), *values]),
        np.concatenate([np.empty(0, bool), *valid]),
    )
    rows = len(valid)
    job = Job(rows, pieces, Values.FIXED, width=width, validity_kind=Validity.BITS, fill=0x0102030405060708,
              values=Region(rows * width), bitmap=Region((rows + 7) // 8), mask=Region(rows) if mask else None)  # fmt: skip
    out = run([job], through)
    fill = np.tile(np.frombuffer((0x0102030405060708).to_bytes(8, "little"), np.uint8)[: min(width, 8)], width)[:width]
    np.testing.assert_array_equal(
        at(out, job.values, np.uint8).reshape(-1, width), np.where(valid[:, None], values, fill)
    )
    np.testing.assert_array_equal(bits_at(out, job.bitmap, rows), valid)
    assert out.results[job].nulls == (~valid).sum()
    if mask:
        np.testing.assert_array_equal(at(out, job.mask, bool), ~valid)


@pytest.mark.parametrize("through", ["memory", "file"])
@pytest.mark.parametrize("step", [1, -2])
def test_several_columns_of_one_job(step, through):
    rows, count = 70, 9
    rng = np.random.default_rng(3)
    source = np.where(rng.random((count * abs(step), rows)) < 0.2, np.nan, rng.random((count * abs(step), rows)))
    source[::2] = 1.0  # columns without nulls
    source = source[::step]
    first = Job(1, [Piece(address(np.ones(1)), 8, 0, 0, 1)], Values.FIXED, width=8, values=Region(8), keep=source)
    job = Job(rows, [Piece(source.__array_interface__["data"][0], 8, 0, 0, rows)], Values.FIXED, width=8,
              validity_kind=Validity.NAN64, values=Region(rows * 8, count, rows * 8), bitmap=Region(9, count, 64),
              count=count, source_step=source.strides[0], keep=source)  # fmt: skip
    out = run([first, job], through)
    nulls = np.isnan(source)
    assert out.results[job].nulls_of_each == nulls.sum(axis=1).tolist()
    assert out.results[job].nulls == nulls.sum()
    start = out.places[job.values]
    np.testing.assert_array_equal(out.memory[start : start + source.nbytes].view("f8").reshape(count, rows), source)
    for number, place in enumerate(job.bitmap.starts(out.places[job.bitmap])):
        bits = np.unpackbits(out.memory[place : place + 9], count=rows, bitorder="little").astype(bool)
        np.testing.assert_array_equal(bits, ~nulls[number])


@given(
    rows=st.sampled_from([0, 1, 64, 100, 3000, 70_000]),
    dtype=st.sampled_from(["f2", "f4", "f8", "M8[s]"]),
    step=st.sampled_from([1, 2, -1, -3]),
    through=THROUGH,
)
def test_nulls_that_stand_in_the_values(rows, dtype, step, through):
    rng = np.random.default_rng(rows)
    source = rng.integers(0, 60_000, abs(step) * rows).astype(dtype)
    source[rng.random(len(source)) < 0.3] = np.nan if dtype[0] == "f" else np.datetime64("NaT", "s")
    values = source[::step]
    kind = {"f2": Validity.NAN16, "f4": Validity.NAN32, "f8": Validity.NAN64}.get(dtype, Validity.NAT)
    job = Job(rows, [Piece(address(values), values.strides[0] if rows else 1, 0, 0, rows)], Values.FIXED, width=values.itemsize, validity_kind=kind,
              values=Region(rows * values.itemsize), bitmap=Region((rows + 7) // 8))  # fmt: skip
    out = run([job], through)
    np.testing.assert_array_equal(at(out, job.values, dtype), values)
    np.testing.assert_array_equal(
        bits_at(out, job.bitmap, rows), ~(np.isnan(values) if dtype[0] == "f" else np.isnat(values))
    )


@given(shape=pieces_of(), through=THROUGH)
def test_booleans_from_bits(shape, through):
    rng = np.random.default_rng(len(shape))
    keep, pieces, values, valid = [], [], [], []
    for length, offset in shape:
        bits, present = rng.random(length) < 0.5, rng.random(length) < 0.7
        sources = pack(bits, offset), pack(present, offset)
        keep += sources
        pieces.append(Piece(address(sources[0]), 0, address(sources[1]), offset, length))
        values.append(bits)
        valid.append(present)
    values, valid = np.concatenate([np.empty(0, bool), *values]), np.concatenate([np.empty(0, bool), *valid])
    rows = len(values)
    job = Job(rows, pieces, Values.BITS, validity_kind=Validity.BITS, pandas_kind=PandasBuffer.BYTES, pandas_element="uint8",
              values=Region((rows + 7) // 8), bitmap=Region((rows + 7) // 8), pandas_buffer=Region(rows))  # fmt: skip
    out = run([job], through)
    np.testing.assert_array_equal(bits_at(out, job.values, rows), values & valid)
    np.testing.assert_array_equal(at(out, job.pandas_buffer, bool), values & valid)
    np.testing.assert_array_equal(bits_at(out, job.bitmap, rows), valid)


@pytest.mark.parametrize("rows", [0, 1, 65, 10_000])
def test_booleans_from_bytes(rows):
    rng = np.random.default_rng(rows)
    values, mask = rng.random(rows) < 0.5, rng.random(rows) < 0.3
    job = Job(rows, [Piece(address(values), 1, address(mask), 0, rows)], Values.BYTES_TO_BITS, width=1, validity_kind=Validity.MASK, pandas_kind=PandasBuffer.BYTES,
              pandas_element="uint8", values=Region((rows + 7) // 8), bitmap=Region((rows + 7) // 8), mask=Region(rows), pandas_buffer=Region(rows))  # fmt: skip
    out = run([job], "memory")
    np.testing.assert_array_equal(bits_at(out, job.values, rows), values & ~mask)
    np.testing.assert_array_equal(at(out, job.pandas_buffer, bool), values & ~mask)
    np.testing.assert_array_equal(at(out, job.mask, bool), mask)
    np.testing.assert_array_equal(bits_at(out, job.bitmap, rows), ~mask)


@pytest.mark.parametrize("source", ["i4", "i8"])
@pytest.mark.parametrize("width", [4, 8])
def test_offsets_are_rebased(source, width):
    offsets = np.array([7, 7, 9, 20, 21], source)
    pieces = [Piece(address(offsets), 0, 0, 1, 3, 100), Piece(address(offsets), 0, 0, 0, 2, 114)]
    kind = Values.OFFSETS32 if source == "i4" else Values.OFFSETS64
    job = Job(5, pieces, kind, out_width=width, validity_kind=Validity.BITS, values=Region(5 * width))
    assert at(run([job], "memory"), job.values, f"i{width}").tolist() == [100, 102, 113, 114, 114]


def test_a_plan_that_does_not_fit_is_refused():
    values = np.zeros(10)
    region = Region(80)
    good = dict(width=8, values=region)
    piece = Piece(address(values), 8, 0, 0, 10)
    fits = Job(10, [piece], Values.FIXED, **good)
    too_long = Job(11, [piece], Values.FIXED, **good)
    negative = Job(10, [piece._replace(length=-1)], Values.FIXED, **good)
    for bad, place in ((too_long, 0), (fits, 8), (negative, 0), (fits, -5)):
        memory = np.zeros(80, np.uint8)
        with pytest.raises(ValueError, match="job 0"):
            jobs.run([Placed([bad], {region: place}, address(memory))], partial(jobs.into_memory, outputs=[memory]))


def test_a_write_that_fails_raises_its_errno():
    values = np.zeros(1_000_000)
    job = Job(
        len(values),
        [Piece(address(values), 8, 0, 0, len(values))],
        Values.FIXED,
        width=8,
        values=Region(values.nbytes),
    )
    fd = os.open("/dev/null", os.O_RDONLY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        jobs.run([Placed([job], {job.values: 0}, 0)], partial(jobs.into_file, fd=fd, size=values.nbytes))
    os.close(fd)


def test_mapping_is_shared_or_private(folder):
    path = folder / "file"
    path.write_bytes(b"before--" * 512)
    fd = os.open(path, os.O_RDONLY)
    shared, private = _core.Mapping(fd, 4096, False), _core.Mapping(fd, 4096, True)
    os.close(fd)
    memoryview(private)[:6] = b"mine!!"
    assert bytes(shared)[:6] == path.read_bytes()[:6] == b"before"
    assert memoryview(shared).readonly
    assert len(private) == 4096
    with pytest.raises(OSError, match="Bad file descriptor"):
        _core.Mapping(fd, 4096, False)


def test_threads_are_those_that_may_run():
    assert _core.available_threads() == len(os.sched_getaffinity(0))


def test_kernels_go_by_name():
    assert not _core.use_kernels("avx1024")
    assert _core.use_kernels("")
    assert _core.kernels() in ("avx2", "portable")


FIRST = np.zeros(1, np.int64)


def test_a_stream_is_read_once():
    capsule = pa.table({"x": [1, None]}).__arrow_c_stream__()
    source = _core.ImportedArrays()
    assert source.add_table(capsule, FIRST, 1, 2, 10)
    assert source.has_nulls() == b"\1"
    with pytest.raises(ValueError, match="read before"):
        source.add_table(capsule, FIRST, 1, 2, 10)
    with pytest.raises(ValueError, match="incorrect name"):
        source.add_columns([pa.schema([]).__arrow_c_schema__()], 0)
    assert source.has_nulls() == b"\1"
    many = pa.table({"x": pa.chunked_array([[1]] * 5)})
    assert not source.add_table(many.__arrow_c_stream__(), FIRST, 1, 5, 4)
    assert source.has_nulls() == b"\1"


def test_a_stream_that_fails_says_why():
    def batches():
        yield pa.record_batch({"x": [1]})
        raise ValueError("the source broke")

    reader = pa.RecordBatchReader.from_batches(pa.schema({"x": pa.int64()}), batches())
    with pytest.raises(RuntimeError, match="the source broke"):
        _core.ImportedArrays().add_table(reader.__arrow_c_stream__(), FIRST, 1, 1, 10)


def test_neighbouring_parts_of_a_chunk_are_joined():
    whole = pa.chunked_array([pa.array(range(1000)), pa.array([None, *range(499)])])
    cut = pa.chunked_array([pa.array(range(250)) for _ in range(6)])
    source = _core.ImportedArrays()
    source.add_table(pa.table({"whole": whole, "cut": cut}).__arrow_c_stream__(), np.arange(2), 2, 1500, 100)
    assert [source.count_pieces(column) for column in range(2)] == [2, 6]
    assert source.has_nulls() == b"\1\0"


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100, 5000])
def test_the_range_of_numbers_without_nulls(count):
    numbers = np.random.default_rng(count).integers(-(2**31), 2**31 - 1, count, dtype=np.int32, endpoint=True)
    numbers[::3] = -7
    valid = numbers[numbers != -7]
    expected = (valid.min(), valid.max()) if len(valid) else (2**31 - 1, -(2**31))
    assert _core.range_of(numbers, -7) == expected
