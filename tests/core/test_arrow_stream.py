"""Faulty producers of the C data interface: the core refuses wrong structs, and releases everything that it took.

The structs are made with ctypes, so that each field can be wrong by itself; other lies than these pass PyArrow's import.
"""

from ctypes import POINTER, c_void_p

import numpy as np
import pytest

import colonnade as cn
from colonnade import _core
from colonnade.core.jobs import JOB, Validity, Values, as_numbers
from support.arrow_producer import Array, ArrowArray, ReleaseArray, Stream

ROWS = 10
BITS = b"\xff\x03"


def batch(children, rows=ROWS):
    return Array(rows, children=children)


def import_table(stream, columns=1, rows=ROWS):
    arrays = _core.ImportedArrays()
    assert arrays.add_table(stream.__arrow_c_stream__(), np.arange(columns), columns, rows, 10)
    return arrays


def import_columns(stream, rows=ROWS):
    arrays = _core.ImportedArrays()
    arrays.add_columns([stream.__arrow_c_stream__()], rows, 1)
    return arrays


# What the array of a column says, and what the error says of it.
LIES = {
    "fewer rows": (dict(length=3), "3 rows"),
    "a negative length": (dict(length=-1), "negative length"),
    "a negative offset": (dict(offset=-8), "negative length or offset"),
    "a length that overflows": (dict(length=2**62), "too long"),
    "an offset that overflows": (dict(offset=2**63 - 3), "too long"),
    "no value buffer": (dict(values_at=None), "no values"),
    "no buffers": (dict(buffers=POINTER(c_void_p)()), "no validity and value buffer"),
    "one buffer": (dict(n_buffers=1), "no validity and value buffer"),
    "a negative count of buffers": (dict(n_buffers=-2), "no validity and value buffer"),
    "more nulls than rows": (dict(null_count=ROWS + 1, validity=BITS), "declares 11 nulls"),
    "nulls without a bitmap": (dict(null_count=1), "declares 1 nulls"),
    "an impossible null count": (dict(null_count=-2), "declares -2 nulls"),
    "an array that was released": (dict(release=ReleaseArray()), "released before"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_of_a_column_is_refused(lie):
    fields, message = LIES[lie]
    stream = Stream([batch([Array(ROWS), Array(ROWS, **fields)])], columns=2)
    with pytest.raises(ValueError, match=f"column 1 .*{message}"):
        import_table(stream, 2)
    assert (stream.live, stream.released) == (0, 1)
    if lie == "an array that was released":
        return  # the end of a stream of columns
    stream = Stream([Array(ROWS, **fields)])
    with pytest.raises(ValueError, match=f"column 0 .*{message}"):
        import_columns(stream)
    assert (stream.live, stream.released) == (0, 1)


@pytest.mark.parametrize(("lies", "message"), [
    (dict(length=-1), "negative length"), (dict(offset=-1), "negative length"), (dict(length=2**62), "too long"), (dict(null_count=3), "null"),
    (dict(n_children=3), "another number of columns"), (dict(n_children=0), "another number of columns"), (dict(n_children=-1), "another number of columns"),
    (dict(children=POINTER(POINTER(ArrowArray))()), "no columns"), (dict(length=11), "needs 0 \\+ 11"), (dict(offset=1), "needs 1 \\+ 10"), (dict(length=9), "9 rows"),
])  # fmt: skip
def test_a_lie_of_a_batch_is_refused(lies, message):
    result = batch([Array(ROWS), Array(ROWS)])
    result.fields |= lies
    stream = Stream([result], columns=2)
    with pytest.raises(ValueError, match=message):
        import_table(stream, 2)
    assert (stream.live, stream.released) == (0, 1)


def test_a_batch_without_an_array_for_a_column_is_refused():
    stream = Stream([batch([Array(ROWS)]), batch([None])])
    with pytest.raises(ValueError, match="no array for one of its columns"):
        import_table(stream, 1, 2 * ROWS)
    assert (stream.live, stream.released) == (0, 1)


def test_a_stream_that_fails_releases_what_it_gave():
    for import_ in (import_table, import_columns):
        arrays = [batch([Array(ROWS)])] * 2 if import_ is import_table else [Array(ROWS)] * 2
        stream = Stream(arrays, fails_after=1)
        with pytest.raises(RuntimeError, match="the producer failed"):
            import_(stream)
        assert (stream.live, stream.released) == (0, 1)


def test_one_faulty_stream_of_many_releases_all():
    streams = [Stream([Array(ROWS)] * 2, fails_after=1 if number == 11 else None) for number in range(40)]
    arrays = _core.ImportedArrays()
    with pytest.raises(RuntimeError, match="the producer failed"):
        arrays.add_columns([stream.__arrow_c_stream__() for stream in streams], 2 * ROWS, 4)
    assert arrays.has_nulls() == b""
    assert all((stream.live, stream.released) == (0, 1) for stream in streams)


def test_arrays_are_kept_until_the_import_is_dropped():
    stream = Stream([batch([Array(ROWS, values=np.arange(ROWS).tobytes(), validity=b"\xfe\x03", null_count=-1)])])
    arrays = import_table(stream)
    assert (stream.live, stream.released) == (1, 1)
    assert (arrays.has_nulls(), arrays.count_pieces(0)) == (b"\1", 1)
    del arrays
    assert stream.live == 0


def test_arrays_are_released_before_the_import_is_dropped():
    stream = Stream([batch([Array(ROWS)])])
    arrays = import_table(stream)
    arrays.release()
    assert (stream.live, arrays.count_pieces(0)) == (0, 1)


def test_columns_are_chosen():
    full, nulls = Array(ROWS), Array(ROWS, validity=b"\xfe\x03", null_count=1)
    arrays = _core.ImportedArrays()
    stream = Stream([batch([full, nulls, full])], columns=3)
    assert arrays.add_table(stream.__arrow_c_stream__(), np.array([1, 2]), 3, ROWS, 10)
    assert arrays.has_nulls() == b"\1\0"


@pytest.mark.parametrize("position", [-1, 3, 2**40])
def test_a_chosen_column_that_is_not_there_is_refused(position):
    stream = Stream([batch([Array(ROWS)] * 3)], columns=3)
    with pytest.raises(ValueError, match="not in the Arrow stream"):
        _core.ImportedArrays().add_table(stream.__arrow_c_stream__(), np.array([position]), 3, ROWS, 10)
    assert (stream.live, stream.released) == (0, 1)


# -- jobs of imported columns -------------------------------------------------------------------------------------------


def copy_job(**fields):
    """A job that copies one int64 column of a table into the first output."""
    job = np.zeros(1, JOB)
    job["values"], job["validity"], job["width"] = Values.FIXED, Validity.BITS, 8
    for place in ("bitmap_at", "mask_at", "pandas_at"):
        job[place] = -1
    for name, value in fields.items():
        job[name] = value
    return as_numbers(job)


def test_a_job_moves_a_column():
    stream = Stream([batch([Array(ROWS, values=np.arange(ROWS).tobytes())])])
    arrays = import_table(stream)
    out = np.empty((2, ROWS), np.int64)
    assert _core.move_columns(arrays, copy_job(values_at=1), [out], ROWS) == []
    assert out[1].tolist() == list(range(ROWS))


@pytest.mark.parametrize(("fields", "message"), [
    ({"first_piece": 1}, "no imported column"), ({"first_piece": -1}, "no imported column"), ({"values_at": 1 << 32}, "no such output"),
    ({"values_at": -2}, "no such output"), ({"values_at": 2}, "outside of the memory"), ({"values_at": 2**31}, "outside of the memory"),
    ({"width": 2**31 - 1}, "outside of the memory"), ({"width": 2**62}, "width, is out of range"), ({"width": -8}, "outside|width"), ({"values": 99}, "enumerator"),
])  # fmt: skip
def test_a_job_that_would_write_elsewhere_is_refused(fields, message):
    stream = Stream([batch([Array(ROWS)])])
    arrays = import_table(stream)
    out = np.zeros((2, ROWS), np.int64)
    with pytest.raises(ValueError, match=message):
        _core.move_columns(arrays, copy_job(**fields), [out], ROWS)
    assert not out.any()


@pytest.mark.parametrize("rows", [-1, ROWS - 1, ROWS + 1, 2**60])
def test_jobs_have_the_rows_of_their_columns(rows):
    stream = Stream([batch([Array(ROWS)])])
    arrays = import_table(stream)
    with pytest.raises(ValueError, match=r"rows|outside"):
        _core.move_columns(arrays, copy_job(), [np.zeros((2, ROWS), np.int64)], rows)


def test_outputs_must_be_writable_and_contiguous():
    stream = Stream([batch([Array(ROWS)])])
    arrays = import_table(stream)
    read_only = np.zeros(ROWS, np.int64)
    read_only.flags.writeable = False
    for out in (read_only, np.zeros(2 * ROWS, np.int64)[::2]):
        with pytest.raises((ValueError, BufferError)):
            _core.move_columns(arrays, copy_job(), [out], ROWS)


def test_as_many_maps_as_pieces():
    stream = Stream([batch([Array(ROWS)])])
    arrays = import_table(stream)
    for column, maps in ((0, []), (0, [(0, 0)] * 2), (1, [(0, 0)])):
        with pytest.raises(ValueError, match="one map for each piece"):
            arrays.renumber(column, maps)


def test_arrays_that_are_moved_have_the_same_rows():
    out = [np.zeros(ROWS, np.int64)]
    jobs = copy_job(validity=Validity.NONE)
    values = np.arange(2 * ROWS)[::-2]
    assert _core.move_arrays([(values, None)], jobs, out, ROWS) == [(0, False)]
    assert (out[0] == values).all()
    for array, mask in ((values[1:], None), (values.reshape(2, -1), None), (values, np.zeros(ROWS - 1, bool))):
        with pytest.raises(ValueError, match="another number of rows"):
            _core.move_arrays([(array, mask)], jobs, out, ROWS)


def test_a_stream_without_batches_has_its_columns():
    arrays = import_table(Stream([], columns=600), 600, 0)
    assert [arrays.count_pieces(column) for column in range(600)] == [0] * 600
    with pytest.raises(IndexError):
        arrays.count_pieces(600)


# -- the public function: PyArrow imports the stream, and the core reads what it exports -------------------------------


@pytest.mark.parametrize("columns", [1, 2, 511, 512, 600])
@pytest.mark.parametrize("lie", ["fewer rows", "no value buffer", "more nulls than rows", "nulls without a bitmap"])
def test_to_pandas_refuses_a_producer_that_lies(columns, lie):
    fields, _ = LIES[lie]
    children = [Array(ROWS) for _ in range(columns)]
    children[-1] = Array(ROWS, **fields)
    with pytest.raises(ValueError):  # noqa: PT011
        cn.to_pandas(Stream([batch(children)], columns=columns))


@pytest.mark.parametrize("columns", [1, 511, 512, 2000])
@pytest.mark.parametrize("batches", [0, 1, 3])
def test_tables_of_no_rows(columns, batches):
    df = cn.to_pandas(Stream([batch([Array() for _ in range(columns)], 0)] * batches, columns=columns))
    assert df.shape == (0, columns)
    assert (df.dtypes == np.int64).all()
