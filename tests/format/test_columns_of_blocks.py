"""Columns of one form, of pandas or Arrow, are planned as one: the file holds what each of them would be alone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from colonnade.core.regions import gaps
from colonnade.format.write.plan import plan

ROWS = 13  # so neither a bitmap nor a column of small numbers ends where the next one may begin


def base():
    """Eight dtypes in turn, so the columns of each block stand apart."""
    rng = np.random.default_rng(5)
    made = [
        lambda n: np.where(rng.random(ROWS) < 0.3, np.nan, n),
        lambda n: np.arange(ROWS) + n,
        lambda n: np.arange(ROWS, dtype="f4") * n,
        lambda n: (np.arange(ROWS) + n) % 3 == 0,
        lambda n: np.arange(ROWS, dtype="i2") + n,
        lambda n: np.where(np.arange(ROWS) == n % ROWS, np.datetime64("NaT", "us"), np.arange(ROWS).astype("M8[us]")),
        lambda n: np.arange(n, ROWS + n).astype("m8[s]"),
        lambda n: np.arange(ROWS, dtype="u1") + n,
    ]
    return pd.DataFrame({f"c{n}": made[n % 8](n) for n in range(40)})


def with_columns_between():
    frame = base()
    frame.insert(2, "between", 1.0)  # a block of its own, between two columns of another block of its dtype
    frame.insert(30, "text", [f"{n}" for n in range(ROWS)])
    frame["category"] = pd.Categorical(["a", "b", None] * 4 + ["a"])
    frame["objects"] = [[1], None] * 6 + [[2, 3]]
    return frame


FRAMES = {
    "dtypes in turn": base,
    "one dtype": lambda: pd.DataFrame(np.random.default_rng(1).random((ROWS, 30))),
    "rows in reverse": lambda: base()[::-1],
    "every second row": lambda: base()[::2],
    "every third column": lambda: base().iloc[:, ::3],
    "columns in reverse": lambda: base().iloc[:, ::-1],
    "no rows": lambda: base()[:0],
    "two frames side by side": lambda: pd.concat([base(), base().add_prefix("d")], axis=1),
    "columns between": with_columns_between,
    "levels": lambda: base().set_index(["c1", "c2"]),
    "an index": lambda: base().set_index("c0"),
    "one name": lambda: base().set_axis(["same"] * 40, axis=1),
    "labels of two levels": lambda: base().set_axis(pd.MultiIndex.from_product([range(8), range(5)]), axis=1),
    "labels of times": lambda: base().set_axis(pd.date_range("2026", periods=40), axis=1),
    "zoned": lambda: pd.DataFrame(np.arange(ROWS * 5).reshape(ROWS, 5)).astype("datetime64[ns, Europe/Berlin]"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back(store, name):
    frame = FRAMES[name]()
    with store.put("t", frame) as snapshot:
        snapshot.validate()
        assert_frame_equal(snapshot.to_pandas(), frame)
        arrow = snapshot.to_arrow()
        arrow.validate(full=True)
        if name not in ("columns between", "one name", "labels of times"):  # not stored as PyArrow converts them
            theirs = pa.Table.from_pandas(frame)
            assert json.loads(arrow.schema.metadata[b"pandas"]) == json.loads(theirs.schema.metadata[b"pandas"])
            assert arrow.cast(theirs.schema).equals(theirs)


def test_a_block_is_planned_as_one():
    table_plan = plan(base())
    assert [column.count for column in table_plan.columns] == [5] * 8
    assert sorted(table_plan.order) == list(range(40))
    assert [column.count for column in plan(with_columns_between()).columns].count(5) == 7  # float64 is split


def whole_numbers():
    """Integers and booleans, which pandas holds in other ways where they have nulls, as half of the columns do."""
    types = [pa.int64(), pa.uint8(), pa.bool_(), pa.int16()]
    columns = [[None if n % 8 > 3 and row % 3 == 0 else (row + n) % 2 for row in range(ROWS)] for n in range(40)]
    return pa.table({f"c{n}": pa.array(values).cast(types[n % 4]) for n, values in enumerate(columns)})


TABLES = {
    **{name: lambda name=name: pa.Table.from_pandas(FRAMES[name]()) for name in FRAMES if name != "one name"},
    "nulls": whole_numbers,
    "a slice": lambda: whole_numbers()[3:-2],
    "two chunks": lambda: pa.concat_tables([whole_numbers(), whole_numbers()]),
    "columns of one name": lambda: whole_numbers().rename_columns(["c"] * 40),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_comes_back(store, name):
    table = TABLES[name]()
    with store.put("t", table) as snapshot:
        snapshot.validate()
        assert_frame_equal(snapshot.to_pandas(), table.to_pandas())
        arrow = snapshot.to_arrow(validate="full")
        assert all(ours.cast(theirs.type).equals(theirs) for ours, theirs in zip(arrow, table, strict=True))


def test_arrow_columns_of_one_form_are_planned_as_one(store):
    assert [column.count for column in plan(whole_numbers()).columns if column.count > 1] == [5] * 7
    assert [column.count for column in plan(pa.Table.from_pandas(base())).columns] == [5] * 8
    with store.put("t", whole_numbers(), key="c0") as snapshot:
        assert snapshot.locate(1) == 1


@pytest.mark.parametrize("dtype", ["complex128", ">f8"])
def test_each_column_that_cannot_be_stored_is_named(store, dtype):
    with pytest.raises(cn.UnsupportedTypeError) as error:
        store.put("t", pd.DataFrame(np.zeros((3, 4), dtype), columns=list("abcd")))
    assert [label for label in "abcd" if f"column '{label}': " in str(error.value)] == list("abcd")


def test_columns_of_an_array(store):
    for array in (
        np.arange(80.0).reshape(16, 5, order="F"),
        np.asfortranarray(np.arange(80).reshape(16, 5) % 3 == 0),
        np.asfortranarray(
            np.where(np.arange(80) % 7 == 0, np.datetime64("NaT", "s"), np.arange(80).astype("M8[s]")).reshape(16, 5)
        ),
    ):
        assert len(plan(array).columns) == 1
        with store.put("t", array) as snapshot:
            np.testing.assert_array_equal(snapshot.to_numpy(), array)
            snapshot.to_arrow().validate(full=True)


@pytest.mark.parametrize("library", ["pandas", "arrow"])
def test_memory_of_older_versions_shows_nowhere(store, library):
    """Every byte that no job writes is zero, whatever a spare held before."""
    frame = pd.concat([base()] * 600, ignore_index=True)
    data = frame if library == "pandas" else pa.Table.from_pandas(frame)
    fresh = store.put("fresh", data)
    for fill in (1.5, 2.5, 3.5):
        store.put("t", pd.DataFrame(np.full((5 * len(frame), 40), fill))).close()
    with fresh, store.put("t", data) as again:
        # Only the seals differ.
        assert again.to_arrow().equals(fresh.to_arrow())
        files = [Path(f"/proc/self/fd/{snapshot.fileno()}") for snapshot in (again, fresh)]
        ours, theirs = (np.frombuffer(file.read_bytes(), np.uint8) for file in files)
    assert len(ours) > 1 << 20  # smaller files are made in fresh memory
    assert np.count_nonzero(ours != theirs) <= 128


@pytest.mark.parametrize(
    ("taken", "end", "expected"),
    [
        ([([0], 100)], 100, []),
        ([([0], 90)], 100, [(90, 100)]),
        ([([10], 5)], 20_000, [(0, 20_000)]),
        ([([10], 9_000), ([9_064, 9_128], 64)], 20_000, [(0, 10), (9_010, 20_000)]),
        ([([0, 8, 16], 0), ([0], 0)], 24, [(0, 24)]),
        ([([8], 8), ([0], 8_000)], 8_000, []),
    ],
)
def test_gaps(taken, end, expected):
    assert gaps(taken, end) == expected
