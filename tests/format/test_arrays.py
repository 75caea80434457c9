"""Arrays and bytes come back bit for bit, with shape, dtype and order, as views of the mapping."""

import array
import contextlib
import ctypes
import mmap
import pickle
import subprocess
import sys
from pathlib import Path

import arro3.io
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given

import colonnade as cn
from colonnade.format.ndarray_layout import lay_out_array
from support.arrays import DTYPES, ORDERS, SHAPES, UNITS, arrays, make, orders_of
from support.quick_lane import examples

ONE = np.zeros(1)


def assert_same(result, put):
    assert type(result) is np.ndarray
    assert (result.shape, result.dtype) == (put.shape, put.dtype)
    assert result.dtype.fields == put.dtype.fields
    assert list(bits(result)) == list(bits(put))


def bits(array):
    """The bytes of an array without the gaps of structures, because NumPy does not copy the gaps."""
    for name in array.dtype.names or ():
        yield from bits(array[name])
    if array.dtype.names is None:
        yield array.tobytes()


def is_mapped(store, address):
    lines = [line for line in Path("/proc/self/maps").read_text().splitlines() if str(store.path) in line]
    return any(int(first, 16) <= address < int(last, 16) for first, last in (x.split()[0].split("-") for x in lines))


def address(array):
    return array.__array_interface__["data"][0]


def check(store, put):
    with store.put("t", put) as snap:
        snap.validate()
        result = snap.to_numpy()
        assert_same(result, put)
        # The order comes back too; what is in none is stored in C's.
        assert result.flags.c_contiguous == (put.flags.c_contiguous or not put.flags.f_contiguous)
        assert result.flags.f_contiguous or not put.flags.f_contiguous
        assert result.flags.writeable
        buffer = snap.to_buffer()
        assert bytes(buffer) == result.reshape(-1, order="A").view(np.uint8).tobytes()
        if put.size:
            assert is_mapped(store, address(result))
            assert is_mapped(store, buffer.address)
        table = pa.ipc.open_file(str(snap.path)).read_all()
        table.validate(full=True)
        assert (table.num_rows, table.num_columns) == (snap.num_rows, snap.num_columns)
        assert [report.arrow_type for report in snap.explain()] == [str(type_) for type_ in table.schema.types]
        return snap


@given(put=arrays())
@examples(300)
def test_any_array(store, put):
    check(store, put)


@pytest.mark.parametrize("name", DTYPES)
def test_each_dtype(store, name):
    for shape in ((), (5,), (8, 3), (3, 2, 2)):
        check(store, make(DTYPES[name], shape))
        check(store, np.asfortranarray(make(DTYPES[name], shape)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_each_shape_and_order(store, shape):
    for name in ("f8", "?", "M8[ns]", "M8[D]", "c8", ">i2", "structure, plain"):
        for order in orders_of(shape):
            check(store, ORDERS[order](make(DTYPES[name], shape)))


BYTES = {
    "bytes": lambda: b"some bytes\0",
    "no bytes": lambda: b"",
    "bytearray": lambda: bytearray(b"some bytes"),
    "memoryview": lambda: memoryview(b"some bytes"),
    "strided memoryview": lambda: memoryview(b"some bytes")[::-2],
    "signed memoryview": lambda: memoryview(b"\xff\0\x7f").cast("b"),
    "pyarrow.Buffer": lambda: pa.py_buffer(b"some bytes").slice(1, 4),
    "ctypes characters": lambda: (ctypes.c_char * 4)(*b"abcd"),
}


@pytest.mark.parametrize("kind", BYTES)
def test_each_kind_of_bytes(store, kind):
    put = BYTES[kind]()
    answer = bytes(put) if not isinstance(put, memoryview) else put.tobytes()
    with store.put("t", put) as snap:
        snap.validate()
        assert bytes(snap.to_buffer()) == answer
        assert snap.to_buffer().size == len(answer)
        assert_same(snap.to_numpy(), np.frombuffer(answer, np.uint8))
        assert snap.to_arrow().column("value").to_pylist() == list(answer)
        assert snap.to_pandas()[0].tolist() == list(answer)


def test_a_mapped_file(store, folder):
    (folder / "file").write_bytes(bytes(range(256)) * 50)
    with open(folder / "file", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert bytes(store.put("t", mapped).to_buffer()) == mapped[:]


def test_buffers_that_say_what_they_hold(store):
    shaped = memoryview(np.arange(6.0).reshape(2, 3))
    for put in (array.array("d", [1.5, 2.5]), array.array("b", [-1, 2]), shaped, (ctypes.c_int32 * 2)(7, 8), np.float32(1.5), np.datetime64("2020-01-01")):  # fmt: skip
        assert_same(store.put("t", put).to_numpy(), np.asarray(put))


def test_classes_of_arrays_come_back_as_arrays(store, folder):
    mapped = np.memmap(folder / "file", "f4", "w+", shape=(4, 5))
    mapped[:] = 2
    for put in (mapped, np.rec.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])):
        assert_same(store.put("t", put).to_numpy(), np.asarray(put).view(np.ndarray))


@pytest.mark.parametrize(("put", "says"), [
    (np.array([object()]), "references to memory of this process.*pandas.DataFrame"),
    (np.array([("a", 1)], dtype=[("o", object), ("i", "i4")]), "references"),
    (np.array(["a"], np.dtypes.StringDType()), "references"),
    (np.ma.array([1, 2], mask=[True, False]), "lose its mask.*filled"),
    (np.eye(2).view(np.matrix), r"a numpy.matrix would come back as a plain array; put numpy.asarray\(\)"),
    (np.empty(3, "V0"), r"V0 would not come back.*astype"),
    (np.empty(3, [("nothing", "f8", (0,)), ("x", "i1")]), "would not come back"),
], ids=["objects", "objects in a structure", "texts of any length", "masked", "a matrix", "no bytes", "a part of no bytes"])  # fmt: skip
def test_what_cannot_come_back_is_refused(store, put, says):
    store.put("t", ONE)
    with pytest.raises(cn.UnsupportedTypeError, match=says):
        store.put("t", put)
    assert store.open("t").version == 1


def test_what_is_no_buffer_is_no_table(store):
    for put in ("text", 5, [1, 2], object(), {1, 2}):
        with pytest.raises(cn.NotATableError, match="NumPy arrays and bytes are stored too"):
            store.put("t", put)
    with pytest.raises(ValueError, match="released"):
        released = memoryview(b"x")
        released.release()
        store.put("t", released)


def test_two_arrays_are_independent(store):
    put = make(np.dtype("i8"), (300, 40)) >> 20
    snap = store.put("t", put)
    first, second, buffer = snap.to_numpy(), snap.to_numpy(), snap.to_buffer()
    first[:] = 7
    assert_same(second, put)
    assert bytes(buffer) == put.tobytes()
    assert_same(store.open("t").to_numpy(), put)
    program = f"import colonnade as cn; print(cn.Store({str(store.path)!r}).open('t').to_numpy().sum())"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert int(output) == put.sum()
    assert not snap.to_numpy(writable=False).flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        snap.to_numpy(writable=False)[0] = 1
    with pytest.raises(TypeError, match="read-only"):
        memoryview(buffer)[0] = 1
    snap.validate()


def test_asarray_copies_nothing(store):
    for put in (make(np.dtype("f4"), (50, 3)), make(np.dtype("M8[us]"), (9,)), np.frombuffer(b"abc", np.uint8)):
        snap = store.put("t", put)
        for result in (np.asarray(snap), np.array(snap, copy=None)):
            assert_same(result, put)
            assert is_mapped(store, address(result))
            assert result.flags.writeable
        assert not is_mapped(store, address(np.array(snap)))
    assert np.asarray(snap, dtype="i8").tolist() == [97, 98, 99]


def test_the_buffer_protocol(store):
    put = make(np.dtype("i4"), (3, 5))
    view = store.put("t", put).__buffer__(0)
    assert (view.shape, view.format, view.readonly, view.tobytes()) == ((3, 5), "i", False, put.tobytes())
    assert is_mapped(store, address(np.asarray(view)))
    with pytest.raises(BufferError, match=r"no format for; use to_buffer"):
        store.put("t", make(np.dtype("M8[ns]"), (3,))).__buffer__(0)
    answer = 0
    for dtype in DTYPES.values():  # what NumPy would make of it is the array, or it goes on to ask for `__array__`
        put = make(dtype, (3, 2))
        with contextlib.suppress(BufferError):
            assert_same(np.asarray(store.put("t", put).__buffer__(0)), put)
            answer += 1
    assert answer > 20
    with pytest.raises(BufferError, match=r"'t' is a table.*to_buffer\(\)"):
        store.put("t", pd.DataFrame({"x": [1]})).__buffer__(0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python asks objects for buffers from 3.12 on")
def test_memoryview_of_a_snapshot(store):
    with store.put("t", b"some bytes") as snap:
        assert memoryview(snap).tobytes() == b"some bytes"
    assert np.asarray(store.put("t", pd.DataFrame({"x": [1.5]}))).tolist() == [[1.5]]


def test_what_outlives_the_snapshot(store):
    put = make(np.dtype("f8"), (40, 4))
    snap = store.put("t", put)
    result, buffer = snap.to_numpy(), snap.to_buffer()
    store.put("t", ONE)
    store.delete("t")
    snap.close()
    del snap
    assert_same(result, put)
    assert bytes(buffer) == put.tobytes()


def test_a_reference_is_an_array_again(store):
    snap = store.put("t", make(np.dtype("c16"), (3, 3, 3)))
    assert_same(pickle.loads(pickle.dumps(snap)).to_numpy(), snap.to_numpy())


@pytest.mark.parametrize("name", ["f8", "?", "M8[ns]", "m8[s]", "c16", "f2", "u8"])
@pytest.mark.parametrize("shape", [(), (6,), (8, 3), (3, 4), (2, 3, 4), (0, 3)], ids=str)
def test_frames_of_arrays(store, name, shape):
    put = make(DTYPES[name], shape)
    expected = pd.DataFrame(put.reshape(len(put) if shape else 1, -1 if put.size else 3))
    for source in (put, np.asfortranarray(put)):
        snap = store.put("t", source)
        result = snap.to_pandas()
        pd.testing.assert_frame_equal(result, expected)
        block = result._mgr.blocks[0].values
        if put.size and (source.flags.c_contiguous or source.ndim == 2):
            assert is_mapped(store, address(block if isinstance(block, np.ndarray) else block._ndarray))
        assert all(report.zero_copy for report in snap.explain()) == (source.ndim < 3 or source.flags.c_contiguous)
        labels = list(range(expected.shape[1]))[::-2]
        pd.testing.assert_frame_equal(snap.to_pandas(columns=labels), expected[labels])
        with pytest.raises(cn.NotFoundError):
            snap.to_pandas(columns=["x"])


def test_frames_that_pandas_makes(store):
    fields = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", ">i4"), ("b", "f8")])
    snap = store.put("t", fields)
    pd.testing.assert_frame_equal(snap.to_pandas(), pd.DataFrame({"a": np.array([1, 3], "i4"), "b": [2.5, 4.5]}))
    assert snap.to_pandas(columns=["b"]).to_dict("list") == {"b": [2.5, 4.5]}
    (report,) = snap.explain()
    assert "it makes what it can" in report.why
    assert store.put("t", np.array(["ab", "c"])).to_pandas()[0].tolist() == ["ab", "c"]
    assert store.put("t", np.array([[1, 2]], ">i4")).to_pandas().dtypes.tolist() == [np.dtype("i4")] * 2
    assert store.put("t", np.array(["2020-05"], "M8[M]")).to_pandas()[0][0] == pd.Timestamp("2020-05-01")
    for put in (
        np.ones(2, "m8[Y]"),
        np.ones(2, [("t", "M8[ps]")]),
        make(DTYPES["structure, nested"], (2, 2)),
        make(DTYPES["M8[10ms]"], (2,)),
        np.zeros((0, 1 << 30)),
    ):
        with pytest.raises(cn.UnsupportedTypeError, match="to_numpy"):
            store.put("t", put).to_pandas()


def test_what_arrow_sees(store):
    def columns(put):
        return store.put("t", put).to_arrow()

    assert columns(np.array([1.0, np.nan])).to_pydict() == {"value": pytest.approx([1.0, np.nan], nan_ok=True)}
    assert columns(np.array([1.0, np.nan])).column(0).null_count == 0
    assert columns(np.array(["2020", "NaT"], "M8[s]")).column(0).null_count == 1
    assert columns(np.array([True, False])).schema.types == [pa.bool_()]
    assert columns(np.array([[True, False]] * 3)).schema.types == [pa.fixed_shape_tensor(pa.bool_(), (2,))]
    for one in (np.zeros((1, 5)), np.zeros((5, 1))):  # in both orders, so Arrow gets the columns
        assert (columns(one).num_rows, columns(one).num_columns) == one.shape
    turned = columns(np.asfortranarray(np.arange(8.0).reshape(2, 4)))
    assert turned.to_pydict() == {"0": [0.0, 4.0], "1": [1.0, 5.0], "2": [2.0, 6.0], "3": [3.0, 7.0]}
    images = np.arange(24, dtype="u2").reshape(2, 3, 4)
    tensors = columns(images).column("value")
    assert tensors.type == pa.fixed_shape_tensor(pa.uint16(), (3, 4))
    assert np.array_equal(tensors.chunk(0).to_numpy_ndarray(), images)
    assert columns(np.array([1 + 2j, 3])).column("value").to_pylist() == [[1.0, 2.0], [3.0, 0.0]]
    assert columns(np.array([b"ab", b"c"])).column("value").to_pylist() == [[97, 98], [99, 0]]
    assert columns(np.array(["1970-01-03"], "M8[D]")).to_pydict() == {"value": [2]}
    # A row that would be a large part of the whole stands in several rows of Arrow's.
    wide = np.zeros((2, 3, 300_000))
    snap = store.put("t", wide)
    assert (snap.num_rows, snap.to_numpy().shape) == (1_800_000, wide.shape)
    assert store.put("t", np.zeros((64, 3, 300_000), "u1")).num_rows == 64


@pytest.mark.parametrize("put", [b"abcd", np.arange(4.0), np.arange(12.0).reshape(4, 3), np.asfortranarray(np.arange(12.0).reshape(4, 3)), np.arange(24, dtype="i4").reshape(4, 3, 2)], ids=["bytes", "1", "2 C", "2 F", "3"])  # fmt: skip
def test_other_readers_open_the_file(store, put):
    snap = store.put("t", put)
    values = np.frombuffer(put, np.uint8) if isinstance(put, bytes) else put
    frame = pl.read_ipc(snap.path)
    assert frame.height == 4
    storage = [pl.Series(column.storage if isinstance(column, pa.ExtensionArray) else column) for column in snap.to_arrow().to_batches()[0].columns]  # fmt: skip
    assert sum(float(column.to_numpy().sum()) for column in storage) == values.sum()
    assert duckdb.sql("select count(*) from snap").fetchall() == [(4,)]
    with open(snap.path, "rb") as file:
        assert pa.table(arro3.io.read_ipc(file).read_all()) == snap.to_arrow()


def test_buffers_of_tables(store):
    with store.put("t", pd.DataFrame({"x": np.arange(5, dtype="i2")})) as snap:
        assert bytes(snap.to_buffer()) == np.arange(5, dtype="i2").tobytes()
        assert is_mapped(store, snap.to_buffer().address)
    assert bytes(store.put("t", pa.table({"x": [1, 2, 3]}).slice(1, 1)).to_buffer()) == (2).to_bytes(8, "little")
    assert bytes(store.put("t", pd.DataFrame({"x": np.zeros(0)})).to_buffer()) == b""
    refused = {
        "2 columns": pd.DataFrame({"x": [1], "y": [2]}),
        "a column of large_string": pd.DataFrame({"x": ["a"]}),
        "a column of bool": pd.DataFrame({"x": [True]}),
        "a column of double with nulls": pd.DataFrame({"x": [1.0, None]}),
    }
    for result, put in refused.items():
        with pytest.raises(cn.UnsupportedTypeError, match=rf"'t' is a table of {result}; use to_arrow\(\)"):
            store.put("t", put).to_buffer()


PEAK = """
import sys, threading, numpy as np, colonnade as cn
from pathlib import Path
def own():
    return int(Path("/proc/self/smaps_rollup").read_text().split("Anonymous:")[1].split()[0]) >> 10
store, put = cn.Store(sys.argv[1]), np.ones((3000, 5000))
store.put("t", put).close()
done, most, before = threading.Event(), [0], own()
def look():
    while not done.is_set():
        most[0] = max(most[0], own() - before)
watching = threading.Thread(target=look)
watching.start()
for _ in range(20):
    store.put("t", put).close()
array = store.open("t").to_numpy()
array.sum()
done.set()
watching.join()
print(most[0])
"""


@pytest.mark.slow
def test_an_array_is_copied_once_and_opened_without_a_copy(store):
    """A process that puts and reads 120 MB never has 20 MB more private memory."""
    output = subprocess.run([sys.executable, "-c", PEAK, store.path], capture_output=True, text=True, check=True).stdout
    assert int(output) < 20


def test_layouts_of_what_is_too_large_to_make():
    """A list in Arrow has fewer than 2**31 values. One row is written without use, so it must be a small part of the array."""
    layout = lay_out_array(np.dtype("u1"), (100, 1 << 31), "C")
    assert (layout.rows, layout.tensor) == (100 << 31, ())
    layout = lay_out_array(np.dtype("u1"), (100, 2, 1 << 30), "C")
    assert (layout.rows, layout.tensor) == (200, (1 << 30,))
    layout = lay_out_array(np.dtype("f8"), (1 << 30, 257), "F")
    assert (layout.rows, layout.tensor) == (257, (1 << 30,))
    assert lay_out_array(np.dtype("f8"), (1 << 30, 256), "F").columns == 256


def test_units_are_all_there():
    assert {np.datetime_data(dtype)[0] for dtype in DTYPES.values() if dtype.kind in "mM"} >= {unit.lstrip("0123456789") for unit in UNITS}  # fmt: skip
