"""Files that describe an array which they do not contain: always an error, never a view of other memory."""

import copy
import json

import numpy as np
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format import ndarray_layout, schema
from colonnade.format.bounds import Body
from colonnade.format.record import from_json
from fuzz.anatomy import Anatomy, rehashed

MATRIX = np.arange(12.0).reshape(3, 4)
SQUARE = np.arange(16.0).reshape(4, 4)
BOOLS = np.arange(20) % 3 == 0
TIMES = np.array(["2020", "NaT", "2021"], "M8[s]")
ROWS_OF_TIMES = np.array([["2020", "NaT"], ["1970", "2021"]], "M8[s]")
COLUMNS = np.asfortranarray(np.arange(32.0).reshape(8, 4))
STRUCTURES = np.array([(1, 2.5)] * 3, [("a", "i4"), ("b", "f8")])


def _stored(**changes):
    """An edit of the array's layout metadata."""

    def edit(file):
        return file.with_layout({**copy.deepcopy(file.layout), **changes})

    return edit


def _without(key):
    return lambda file: file.with_layout({k: v for k, v in file.layout.items() if k != key})


def _with_bytes(at, value, dtype):
    """An edit of the array's bytes."""

    def edit(file):
        new = np.array(value, dtype).tobytes()
        start = file.body_start()[0] + file.layout["at"] + at
        return file.data[:start] + new + file.data[start + len(new) :]

    return edit


def _structure(**changes):
    return {
        "kind": "structure",
        "names": ["a", "b"],
        "formats": ["<i4", "<f8"],
        "offsets": [0, 4],
        "itemsize": 12,
        **changes,
    }


def _nested(depth):
    return {"kind": "subarray", "base": _nested(depth - 1), "shape": [1]} if depth else "<f8"


_SHAPES = {
    "negative": [-3, 4],
    "negative twice": [-3, -4],
    "more than there is": [3, 4000],
    "more than numbers can tell": [2**63],
    "a product that overflows to 0": [2**32, 2**32],
    "a product that overflows to what there is": [2**62 + 3, 4],
    "nothing of much too much": [0, 2**62, 2**62],
    "of no whole numbers": [3.0, 4],
    "of truth values": [True, 4],
    "of texts": ["3", "4"],
    "a text": "34",
    "a number": 12,
    "absent": None,
    "too many axes": [1] * 65,
    "nested": [[3], [4]],
}
_DTYPES = {
    "objects": "|O",
    "objects, by another name": "object",
    "texts of any length": "|T8",
    "no bytes": "|V0",
    "no characters": "<U0",
    "more characters than there are": "<U1000",
    "more characters than numbers can tell": "<U600000000",
    "many at once": "<f8,<f8",
    "a part by itself": "(2,)<f8",
    "not NumPy's spelling": "float64",
    "no dtype": ">zz",
    "nothing": "",
    "a number": 8,
    "absent": None,
    "a list": ["<f8"],
    "a structure of objects": _structure(formats=["<i4", "|O"]),
    "a structure's part before it": _structure(offsets=[-4, 4]),
    "a structure's part behind it": _structure(offsets=[0, 8]),
    "a structure's part far behind it": _structure(offsets=[0, 2**64]),
    "a structure's part at half a byte": _structure(offsets=[0, 0.5]),
    "a structure of no bytes": _structure(itemsize=0),
    "a structure of negative size": _structure(itemsize=-12),
    "a structure of too many bytes": _structure(itemsize=2**31),
    "a structure of two parts of one name": _structure(names=["a", "a"]),
    "a structure of names that are none": _structure(names=[1, 2]),
    "a structure of fewer names than parts": _structure(names=["a"]),
    "a structure of fewer places than parts": _structure(offsets=[0]),
    "a structure without parts": {},
    "a part of negative shape": {"kind": "subarray", "base": "<f8", "shape": [-1]},
    "a part of no shape": {"kind": "subarray", "base": "<f8", "shape": []},
    "a part of too many bytes": {"kind": "subarray", "base": "<f8", "shape": [2**20, 2**20]},
    "a part of much too many bytes": {"kind": "subarray", "base": "<f8", "shape": [2**32, 2**32]},
    "parts of parts of parts": _nested(60),
}
# Checked whenever the array is looked at.
PLACES = {
    **{f"a shape: {what}": (MATRIX, _stored(shape=shape)) for what, shape in _SHAPES.items()},
    **{f"a dtype: {what}": (MATRIX, _stored(dtype=dtype)) for what, dtype in _DTYPES.items()},
    **{f"an order: {order!r}": (MATRIX, _stored(order=order)) for order in ("K", "A", "", None, 5, ["C"], {})},
    **{f"a place: {at!r}": (MATRIX, _stored(at=at)) for at in (-64, 4, 2**40, 2**63, 2**64, -(2**64), "0", None, 0.0, True)},
    **{f"a kind: {value!r}": (MATRIX, _stored(kind=value)) for value in ({}, [], "frame", "tables", 5, False, None)},
    **{f"no {key}": (MATRIX, _without(key)) for key in ("dtype", "shape", "order", "at")},
    "the last byte past the end": (MATRIX, _stored(shape=[3, 4, 2])),
    "elements that are larger": (STRUCTURES, _stored(dtype=_structure(itemsize=2000))),
}  # fmt: skip


@pytest.mark.parametrize("what", PLACES)
def test_hostile_places(folder, what):
    put, edit = PLACES[what]
    store = cn.Store(folder / "s")
    path = store.put("t", put).path
    path.write_bytes(edit(Anatomy(path.read_bytes())))
    snap = store.open("t")
    asks = (snap.to_numpy, snap.to_buffer, snap.to_pandas, snap.explain, lambda: np.asarray(snap), snap.validate)
    for ask in asks:
        with pytest.raises(cn.CorruptSnapshotError, match=r"'t' cannot be opened: .*delete it, or put the table again"):
            ask()
    assert [problem.path for problem in store.check()] == [path]


# Nothing of it can be seen without a look at Arrow's reading, or at every value.
VALUES = {
    "another dtype of as many bytes": (MATRIX, _stored(dtype="<i8")),
    "the other byte order": (MATRIX, _stored(dtype=">f8")),
    "another shape of as many elements": (MATRIX, _stored(shape=[4, 3])),
    "fewer elements": (MATRIX, _stored(shape=[2, 4])),
    "the other order": (SQUARE, _stored(order="F")),
    "another place": (MATRIX, _stored(at=8)),
    "columns in the order of rows": (COLUMNS, _stored(order="C")),
    "columns of another place": (COLUMNS, _stored(at=8)),
    "structures of other parts": (STRUCTURES, _stored(dtype=_structure(itemsize=4, formats=["<i2", "|i1"], offsets=[0, 1]))),
    "a boolean that is neither 0 nor 1": (BOOLS, _with_bytes(3, 2, "u1")),
    "a boolean that is not Arrow's": (BOOLS, _with_bytes(3, 0, "u1")),
    "a boolean in a row that is neither 0 nor 1": (BOOLS.reshape(4, 5), _with_bytes(7, 255, "u1")),
    "a time that is null for Arrow": (TIMES, _with_bytes(8, 5, "i8")),
    "a null that is a time for Arrow": (TIMES, _with_bytes(0, -(2**63), "i8")),
    "a null in a row that is a time for Arrow": (ROWS_OF_TIMES, _with_bytes(0, -(2**63), "i8")),
}  # fmt: skip


@pytest.mark.parametrize("what", VALUES)
def test_hostile_values(folder, what):
    put, edit = VALUES[what]
    store = cn.Store(folder / "s")
    path = store.put("t", put).path
    store.open("t", validate="full").close()
    path.write_bytes(edit(Anatomy(path.read_bytes())))
    snap = store.open("t")
    assert len(bytes(snap.to_buffer())) == snap.to_numpy().nbytes  # trusted, it opens, and inside of the file
    with pytest.raises(cn.CorruptSnapshotError, match=r"'t' cannot be opened: "):
        store.open("t", validate="full")
    assert [problem.path for problem in store.check()] == [path]


@pytest.mark.parametrize("what", list(_SHAPES))
def test_shapes_are_checked_before_numpy_sees_them(what):
    body = Body(bytes(1 << 12), 0, 1 << 12)
    with pytest.raises(cn.CorruptSnapshotError, match=r"^an array of "):
        body.ndarray(np.dtype("f8"), 0, _SHAPES[what], "C")


@pytest.mark.parametrize("what", [what for what, dtype in _DTYPES.items() if isinstance(dtype, dict)])
def test_structures_are_checked_before_numpy_sees_them(what, monkeypatch):
    """Except two fields of one name, which are harmless."""
    result = []
    real = np.dtype

    def dtype(spec, *rest):
        result.append(spec)
        return real(spec, *rest)

    monkeypatch.setattr(ndarray_layout.np, "dtype", dtype)
    with pytest.raises((ValueError, TypeError, KeyError)):  # a MismatchError of the schema is a ValueError
        ndarray_layout.decode_array_dtype(from_json(json.dumps(_DTYPES[what]).encode(), schema.NumpyDtype))
    assert all(isinstance(spec, str) for spec in result) or what.endswith("of one name")


def test_nulls_in_numbers_are_found(folder):
    """Arrow's own reading has a bitmap where the array has none: of the 8 bytes that come behind the body."""
    store = cn.Store(folder / "s")
    small = np.arange(40, dtype="u1")
    for put, node, nulls in ((small, 0, 8), (small.reshape(20, 2), 1, 8), (np.zeros((64, 1, 2), "u1")[:40], 0, 8)):
        path = store.put("t", put).path
        file = Anatomy(path.read_bytes())
        data = bytearray(file.data)
        end = file.body_start()[0] + put.nbytes
        assert data[end : end + 8] == b"\xff\xff\xff\xff\0\0\0\0"
        numbers = {
            what: [number for number in file.numbers if number.what == what] for what in {n.what for n in file.numbers}
        }
        numbers["batch node nulls"][node].write(data, nulls)
        numbers["batch buffer offset"][node].write(data, put.nbytes)
        numbers["batch buffer length"][node].write(data, 5)
        for what in ("batch message body", "batch block body"):
            numbers[what][0].write(data, put.nbytes + 8)
        path.write_bytes(rehashed(bytes(data)))
        batch = pa.ipc.open_file(str(path)).get_batch(0)
        batch.validate(full=True)
        column = batch.column(0)
        assert nulls in (column.null_count, getattr(column, "storage", column).flatten().null_count if node else 0)
        with pytest.raises(cn.CorruptSnapshotError, match="other values for Arrow"):
            store.open("t", validate="full")


def test_a_bitmap_that_is_the_values_themselves(folder):
    """Whose bits happen to be right: who then writes to the array would make other nulls for Arrow."""
    store = cn.Store(folder / "s")
    path = store.put("t", np.array([0b101, "NaT", 7], "M8[s]")).path
    file = Anatomy(path.read_bytes())
    data = bytearray(file.data)
    bitmap, values = [number for number in file.numbers if number.what == "batch buffer offset"]
    bitmap.write(data, values.read(data))
    path.write_bytes(rehashed(bytes(data)))
    pa.ipc.open_file(str(path)).get_batch(0).validate(full=True)
    with pytest.raises(cn.CorruptSnapshotError, match="overlap"):
        store.open("t", validate="full")


def test_a_frame_that_claims_to_be_an_array(folder):
    import pandas as pd

    store = cn.Store(folder / "s")
    path = store.put("t", pd.DataFrame({"x": [1.5, 2.5], "s": ["a", "b"]})).path
    file = Anatomy(path.read_bytes())
    path.write_bytes(
        file.with_layout({"kind": "array", "rows": 2, "dtype": "<f8", "shape": [2], "order": "C", "at": 0})
    )
    assert store.open("t").to_numpy().tolist() == [1.5, 2.5]
    with pytest.raises(cn.CorruptSnapshotError, match="other columns for Arrow"):
        store.open("t", validate="full")
