"""Tables that are filled in place. They must equal a put of the same values."""

import gc
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import colonnade as cn

MIB = 1 << 20
ROWS = 1000


def values_of(dtype, rows, seed=0):
    """Values of every kind that a column of this dtype can have, missing values included."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(rows) < 0.5
    if dtype.kind in "iu":
        return rng.integers(0, np.iinfo(dtype).max, rows, dtype)
    values = (
        rng.integers(0, 10**6, rows).astype(np.int64).view(dtype)
        if dtype.kind in "mM"
        else rng.standard_normal(rows).astype(dtype)
    )
    values[::5] = "NaT" if dtype.kind in "mM" else np.nan
    return values


DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
          "float64", "datetime64[s]", "datetime64[ns]", "timedelta64[ms]", "timedelta64[ns]"]  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1, ROWS, 400_003])
@pytest.mark.slow
def test_filled_in_place_is_what_put_stores(store, rows):
    df = pd.DataFrame({dtype: values_of(dtype, rows) for dtype in DTYPES})
    df["zoned"] = df["datetime64[ns]"].dt.tz_localize("UTC").dt.tz_convert("Europe/Paris")
    df["s"] = pd.array(["word", None, ""] * rows, "str")[:rows]
    df["c"] = pd.Categorical(["a", None, "b"] * rows)[:rows]
    df["masked"] = pd.array([1, None, 3] * rows, "Int16")[:rows]
    arguments = ("s", "c", "masked")
    schema = {label: df[label] if label in arguments else dtype for label, dtype in df.dtypes.items()}
    with store.allocate("t", schema, rows=rows) as draft:
        assert list(draft) == [label for label in df.columns if label not in arguments]
        assert draft.num_rows == rows
        for label in draft:
            draft[label][:] = df[label].dt.tz_convert("UTC").dt.tz_localize(None) if label == "zoned" else df[label]
    pd.testing.assert_frame_equal(store.get("t"), df)
    store.put("put", df)
    allocated, put = store.open("t").to_arrow(), store.open("put").to_arrow()
    assert allocated.equals(put)
    assert [column.null_count for column in allocated.columns] == [column.null_count for column in put.columns]
    assert store.open("t").nbytes == store.open("put").nbytes
    store.open("t").validate()


def test_without_nulls_nan_is_a_value(store):
    with store.allocate("t", {"x": "float64", "t": "datetime64[ns]", "b": bool}, rows=3, nulls=False) as draft:
        draft["x"][:] = [1, np.nan, 3]
        draft["t"][:] = np.array(["2026-01-01", "NaT", "2026-01-03"], "M8[ns]")
        draft["b"][:] = [True, False, True]
    table = store.open("t").to_arrow()
    assert [column.null_count for column in table.columns] == [0, 0, 0]
    assert table.column("b").to_pylist() == [True, False, True]
    assert store.get("t")["x"].isna().tolist() == [False, True, False]


def test_an_error_in_the_block_discards(store):
    store.put("t", pd.DataFrame({"x": [1.0]}))
    with pytest.raises(RuntimeError, match="half-way"), store.allocate("t", {"x": "float64"}, rows=5 * MIB) as draft:
        draft["x"][: 2 * MIB] = 1
        assert [segment.role for segment in store.usage().segments] == ["newest", "draft"]
        raise RuntimeError("half-way")
    with pytest.raises(ValueError, match="block of this draft has ended"):
        draft["x"]
    del draft
    gc.collect()
    assert store.get("t")["x"].tolist() == [1.0]
    assert [segment.role for segment in store.usage().segments] == ["newest"], (
        "of memory that is held by this process, too"
    )
    assert not list((store.path / ".segments").iterdir())


@pytest.mark.parametrize("rows", [ROWS, MIB])
def test_an_array_that_outlives_the_block_is_private(store, rows):
    """A write to the array after its block must not crash, and must not change any snapshot."""
    for _ in range(3):  # fresh, fresh, of a spare
        with store.allocate("t", {"x": "float64", "y": "int64"}, rows=rows) as draft:
            draft["x"][:], draft["y"][:] = 1.5, 2
            array = draft["x"]
        before = store.get("t")
        array[:] = -1
        assert (before["x"] == 1.5).all()
        assert (store.get("t")["x"] == 1.5).all()
        assert (array == -1).all()
        assert "block has ended" in repr(draft)
        del array, before


def test_what_is_given_may_change_afterwards(store):
    text = np.array(["a", "b", "c"], object)
    with store.allocate("t", {"s": text, "x": "int64"}, rows=3) as draft:
        text[:] = "changed"
        draft["x"][:] = 1
    assert store.get("t")["s"].tolist() == ["a", "b", "c"]


def test_processes_fill_one_draft_together(store):
    with store.allocate("t", {"x": "float64"}, rows=MIB) as draft:
        children = []
        for part in range(4):
            child = os.fork()
            if not child:
                draft["x"][part * MIB // 4 : (part + 1) * MIB // 4] = part
                os._exit(0)
            children.append(child)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
    assert store.get("t")["x"].value_counts().to_dict() == {float(part): MIB // 4 for part in range(4)}


def test_a_conflict_and_versions(store):
    with store.allocate("t", {"x": "int8"}, rows=2, keep=2) as draft:
        draft["x"][:] = 1
    with store.allocate("t", {"x": "int8"}, rows=2, keep=2, expect_version=1, ttl=100) as draft:
        draft["x"][:] = 2
    assert store.open("t", version=1).to_pandas()["x"].tolist() == [1, 1]
    assert store.open("t").expires is not None
    with pytest.raises(cn.ConflictError), store.allocate("t", {"x": "int8"}, rows=2, expect_version=1):
        raise AssertionError("it is refused before the block")
    with pytest.raises(cn.ConflictError), store.allocate("t", {"x": "int8"}, rows=2, expect_version=2) as draft:
        store.put("t", pd.DataFrame({"x": [1]}), keep=2)
        draft["x"][:] = 3
    assert store.open("t").version == 3


@pytest.mark.parametrize(
    ("schema", "rows", "error", "words"),
    [
        ({"s": "str"}, 3, cn.UnsupportedTypeError, "column 's': str cannot be filled in place; give the values"),
        ({"s": "category"}, 3, cn.UnsupportedTypeError, "cannot be filled in place"),
        ({"s": object}, 3, cn.UnsupportedTypeError, "cannot be filled in place"),
        ({"s": "Int64"}, 3, cn.UnsupportedTypeError, "cannot be filled in place"),
        ({"s": "complex128"}, 3, cn.UnsupportedTypeError, "cannot be filled in place"),
        ({"s": ">i4"}, 3, cn.UnsupportedTypeError, "cannot be filled in place"),
        ({"s": "no such"}, 3, cn.UnsupportedTypeError, "column 's': 'no such' is not a dtype"),
        ({"s": ["a", "b"]}, 3, ValueError, "column 's' has 2 values, and the table 3 rows"),
        ({"s": [object()] * 3}, 3, cn.UnsupportedTypeError, "column 's': it holds object"),
        ({"x": "int8"}, -1, ValueError, "rows must be an integer >= 0, got -1"),
        ({"x": "int8"}, 1.5, ValueError, r"got 1\.5"),
    ],
)
def test_bad_schemas(store, schema, rows, error, words):
    store.put("kept", pd.DataFrame({"x": [1]}))
    with pytest.raises(error, match=words), store.allocate("t", schema, rows=rows):
        raise AssertionError("it is refused before the block")
    assert [info.name for info in store.ls()] == ["kept"]


def test_a_loop_uses_two_segments(store):
    """A variable that still refers to a column after its block keeps no memory."""
    inodes = set()
    for value in range(6):
        with store.allocate("t", {"x": "float64"}, rows=MIB) as draft:
            draft["x"][:] = value
        inodes.add((store.path / "t.arrow").stat().st_ino)
    assert len(inodes) == 2
    assert len(draft) == 0


def test_nothing_to_fill(store):
    with store.allocate("t", {"s": ["a", "b"]}, rows=2) as draft:
        assert repr(draft) == "<colonnade.DraftTable of 2 rows to fill: no column>"
        with pytest.raises(cn.NotFoundError, match="no column 's' to fill; there are none"):
            draft["s"]
    assert store.get("t")["s"].tolist() == ["a", "b"]


@pytest.mark.slow
def test_ten_thousand_columns(store):
    with store.allocate("t", dict.fromkeys(range(10_000), "int32"), rows=3) as draft:
        for label in draft:
            draft[label][:] = label
    assert (store.get("t").iloc[2] == np.arange(10_000)).all()


def test_an_unknown_column(store):
    with store.allocate("t", {"x": "int8", "s": ["a"]}, rows=1) as draft:
        for label in ("y", "s", []):
            with pytest.raises(cn.NotFoundError, match=r"no column .* to fill; there are: 'x'"):
                draft[label]
        draft["x"][:] = 1


@pytest.mark.parametrize("when", ["filling", "published"])
def test_killed(store, when):
    """A producer killed in its block leaves nothing; the draft of a spare is freed by the next put or gc."""
    for _ in range(2):
        store.put("t", pd.DataFrame({"x": np.ones(MIB)})).close()
    program = f"""
import os, signal, colonnade as cn
store = cn.Store({str(store.path)!r})
with store.allocate("t", {{"x": "float64"}}, rows={MIB}) as draft:
    draft["x"][:] = 3
    {"os.kill(os.getpid(), signal.SIGKILL)" if when == "filling" else ""}
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert (store.get("t")["x"] == (1 if when == "filling" else 3)).all()
    store.put("small", pd.DataFrame({"x": [1]})).close()
    assert [path.name[:5] for path in (store.path / ".segments").iterdir()] == ([] if when == "filling" else ["spare"])


def test_no_descriptor_and_no_mapping_is_left(store):
    def held():
        gc.collect()
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), sum(str(store.path) in line for line in maps)

    with store.allocate("t", {"x": "float64"}, rows=ROWS) as draft:
        draft["x"][:] = 1
    del draft
    before = held()
    for _ in range(5):
        with store.allocate("t", {"x": "float64"}, rows=MIB) as draft:
            draft["x"][:] = 1
        del draft
    assert held() == before


def test_on_a_disk(tmp_path):
    store = cn.Store(tmp_path / "s")
    with store.allocate("t", {"x": "float64", "b": bool}, rows=MIB) as draft:
        draft["x"][:] = np.arange(MIB)
        draft["b"][:] = np.arange(MIB) % 2
    df = store.get("t")
    assert (df["x"] == np.arange(MIB)).all()
    assert df["b"].sum() == MIB // 2
    assert store.check() == []


@given(st.data())
@pytest.mark.slow
def test_any_schema(default_store, data):
    dtypes = data.draw(st.lists(st.sampled_from(DTYPES), min_size=0, max_size=8))
    rows = data.draw(st.integers(0, 300))
    nulls = data.draw(st.booleans())
    df = pd.DataFrame({i: values_of(dtype, rows, i) for i, dtype in enumerate(dtypes)}, index=pd.RangeIndex(rows))
    with cn.allocate("t", dict(enumerate(dtypes)), rows=rows, nulls=nulls) as draft:
        for label in draft:
            draft[label][:] = df[label]
    pd.testing.assert_frame_equal(cn.get("t"), df, check_column_type=False)
    expected = [int(df[i].isna().sum()) if nulls else 0 for i in df.columns]
    assert [column.null_count for column in cn.open("t").to_arrow().columns] == expected
    cn.open("t").validate()


@pytest.mark.parametrize("way", ["put", "share", "allocate"])
def test_a_traceback_keeps_no_memory_of_an_interrupted_draft(store, way, monkeypatch):
    """As with a notebook's stop button: the traceback is kept, but the draft's memory must be freed at once."""

    def interrupt(*_):
        raise KeyboardInterrupt

    df = pd.DataFrame({"x": np.ones(2 * MIB)})
    tracebacks = []
    with monkeypatch.context() as patch:
        patch.setattr("colonnade.format.write.table.Placement._finish", interrupt)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt) as excinfo:
                if way == "allocate":
                    with store.allocate("t", {"x": "float64"}, rows=2 * MIB) as draft:
                        draft["x"][:] = 1
                else:
                    store.put("t", df) if way == "put" else store.share(df)
            tracebacks.append(excinfo.value)
    assert tracebacks[0].__traceback__ is not None
    assert store.usage().segments == ()
    assert store.put("t", df).version == 1
