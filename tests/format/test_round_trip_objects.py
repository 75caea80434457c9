"""Python objects in frames: what comes back is the same, or was refused by name."""

import datetime as dt
import decimal
import uuid

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import colonnade as cn
from colonnade.format.read.column import read_column
from colonnade.format.same import same
from support.quick_lane import examples
from support.strategies import EXACT, Text, object_array, object_cells


def assert_same_or_refused(store, df):
    """Either the frame comes back equal in all parts and types, or an error names what cannot be stored and nothing is stored."""
    before = store.exists("o")
    try:
        with store.put("o", df) as snap:
            snap.validate()
            result = snap.to_pandas()
            assert len(snap.explain()) == snap.to_arrow().num_columns
    except cn.UnsupportedTypeError as error:
        assert store.exists("o") == before
        return str(error)
    assert_frame_equal(result, df, check_freq=True)
    for ours, put in (
        (result.index, df.index),
        (result.columns, df.columns),
        *((result.iloc[:, i], df.iloc[:, i]) for i in range(df.shape[1])),
    ):
        assert ours.dtype == put.dtype
        assert all(map(same, list(ours), list(put))), f"{list(put)} came back as {list(ours)}"
    return None


@given(object_cells(), st.sampled_from(["column", "index", "level", "labels", "level of labels", "categories"]))
@examples(500)
def test_any_objects_in_any_place(store, cells, place):
    if place == "column":
        df = pd.DataFrame({"x": pd.Series(object_array(cells), dtype=object), "i": range(len(cells))})
    else:
        index = pd.Index(object_array(cells), dtype=object, tupleize_cols=False)
        try:
            if "labels" in place or place == "categories":
                index = index.unique()
            if "level" in place:
                index = pd.MultiIndex.from_arrays([range(len(index)), index])
            if place == "categories":
                codes = [*range(len(index)), -1]
                df = pd.DataFrame({"x": pd.Categorical.from_codes(codes, index)})
            elif "labels" in place:
                df = pd.DataFrame([range(len(index))] * 2, columns=index)
            else:
                df = pd.DataFrame({"x": range(len(index))}, index=index)
        except (TypeError, ValueError, pd.errors.Pandas4Warning):  # what pandas does not take there
            return
    assert_same_or_refused(store, df)


@pytest.mark.parametrize("labels", [
    [b"x", b"z"], [1, "a", 2.0], [True, "a"], [np.int64(1), "a"], [np.float32(0.1), "a", np.bool_(True)], [np.nan, "a"], [np.inf, -np.inf, -0.0, "a"], [2**70, "a"],
    [("a", 1), "b"], [[1], [2]], [b"x", "z"], [[1], "a"], [pd.Timestamp("2020"), "a"], [None, "a"], [pd.Timestamp("2020"), pd.Timestamp("2021")], [dt.date(2020, 1, 1), dt.date(2021, 1, 1)],
], ids=repr)  # fmt: skip
def test_labels_that_are_objects(store, labels):
    columns = pd.Index(object_array(labels), dtype=object, tupleize_cols=False)
    assert assert_same_or_refused(store, pd.DataFrame([range(len(labels))] * 2, columns=columns)) is None
    assert list(map(type, store.get("o").columns)) == list(map(type, labels))


@pytest.mark.parametrize("labels", [["\ud800", "a"], [np.str_("a"), "b"], [Text("a"), "b"]], ids=ascii)  # fmt: skip
def test_labels_that_are_refused(store, labels):
    columns = pd.Index(object_array(labels), dtype=object)
    assert "the column labels cannot be stored" in assert_same_or_refused(
        store, pd.DataFrame([[1, 2]], columns=columns)
    )


CATEGORIES = {
    "tuples": [(1, 2), (3, 4)], "UUIDs": [uuid.UUID(int=1), uuid.UUID(int=2)], "dates": [dt.date(2020, 1, 1)], "bytes": [b"a", b"b"],
    "Decimals": [decimal.Decimal("1.5")], "NumPy ints": [np.int64(1), np.int64(2)], "bools": [True, False], "Timestamps": [pd.Timestamp(1)], "datetimes": [dt.datetime(2020, 1, 1)],
}  # fmt: skip


@pytest.mark.parametrize("kind", CATEGORIES)
def test_categories_that_are_objects(store, kind):
    index = pd.Index(object_array(CATEGORIES[kind]), dtype=object, tupleize_cols=False)
    df = pd.DataFrame({"x": pd.Categorical.from_codes([0, -1, len(index) - 1], index)})
    assert assert_same_or_refused(store, df) is None
    assert list(map(type, store.get("o")["x"].cat.categories)) == list(map(type, CATEGORIES[kind]))


@pytest.mark.parametrize("cells", [[1, 2.5], ["a", b"b"], [np.int64(1), 2]], ids=repr)
def test_categories_that_are_refused(store, cells):
    df = pd.DataFrame({"x": pd.Categorical.from_codes([0], pd.Index(object_array(cells), dtype=object))})
    assert "column 'x': its categories: no one Arrow type holds them" in assert_same_or_refused(store, df)


@pytest.mark.parametrize("kind", sorted(EXACT))
def test_each_kind_as_categories(store, kind):
    """Whatever pandas accepts as categories comes back as categories or is refused. It is never stored and unreadable."""
    values = EXACT[kind](np.random.default_rng(5), 30)
    try:
        index = pd.Index(values, dtype=values.dtype).dropna().unique()
        df = pd.DataFrame({"x": pd.Categorical.from_codes([*range(min(len(index), 9)), -1], index)})
    except (TypeError, ValueError, NotImplementedError):
        pytest.skip("pandas does not take these for categories")
    refused = assert_same_or_refused(store, df)
    if refused is None:
        result = store.get("o")["x"].cat.categories
        assert result.dtype == df["x"].cat.categories.dtype
    else:
        assert "its categories" in refused


def test_lossy_on_request(store):
    df = pd.DataFrame({"x": object_array([(1, 2), (3,)]), "t": [pd.Timestamp(1)] * 2}).astype(object)
    sets = pd.DataFrame({"x": object_array([{1}, {2}])})
    assert "put colonnade.from_pandas(df) instead" in assert_same_or_refused(store, sets)
    store.put("t", cn.from_pandas(pd.DataFrame({"x": object_array([{"a": 1}, {"b": 2}])})))
    assert store.get("t")["x"].tolist() == [{"a": 1, "b": None}, {"a": None, "b": 2}]
    (report,) = store.open("t").explain()
    assert report.why.endswith("PyArrow makes them")
    store.put("t", df)
    assert all(report.why.endswith("made again") for report in store.open("t").explain())


DATES = pd.DataFrame(
    {
        "day": pd.date_range("2020", periods=3),
        "x": [1.5, 2, 3],
        "s": ["a", "b", "b"],
        "c": pd.Categorical(["u", "v", "u"]),
    }
)
SUMMARIES = {
    "describe": DATES.describe(), "describe all": DATES.describe(include="all"), "describe turned": DATES.describe(include="all").T, "turned": DATES.T,
    "crosstab": pd.crosstab(DATES["x"], DATES["s"], margins=True), "crosstab of two": pd.crosstab([DATES["x"], DATES["s"]], DATES["c"], margins=True),
    "crosstab of numbers": pd.crosstab(DATES["s"], DATES["x"], margins=True, normalize=True), "pivot": DATES.pivot_table("x", "s", "c", aggfunc="sum", margins=True, observed=False),
    "value counts of anything": pd.Series([1, "a", None, np.nan, (1, 2)], dtype=object).value_counts(dropna=False).reset_index(),
}  # fmt: skip


@pytest.mark.parametrize("kind", SUMMARIES)
def test_summaries_of_several_types(store, kind):
    assert assert_same_or_refused(store, SUMMARIES[kind]) is None
    with store.open("o") as snap:
        assert snap.to_polars().height == len(SUMMARIES[kind])
        assert store.sql("select count(*) from o").fetchall() == [(len(SUMMARIES[kind]),)]


def test_explain_says_how_objects_of_several_types_are_stored(store):
    store.put("o", pd.DataFrame({"x": object_array([1, "a", None])}))
    (report,) = store.open("o").explain()
    assert report.arrow_type == "struct<int: int64, str: string>"
    assert "a field for each type" in report.why
    assert store.sql("select x.int, x.str from o").fetchall() == [(1, None), (None, "a"), (None, None)]


NULLS = {
    "text": ["a", None, np.nan, pd.NA, pd.NaT, "b"], "integers": [1, None, np.nan], "dates": [dt.date(2020, 1, 1), pd.NaT, None], "lists": [[1], None, np.nan, [2, None]],
    "floats": [0.5, None, np.nan, pd.NA], "UUIDs": [uuid.UUID(int=1), None, np.nan], "nothing else": [None, np.nan, pd.NA, pd.NaT], "None and NA": [None, pd.NA],
    "several types": [1, "a", None, pd.NA], "several types and floats": ["a", 2.5, None, np.nan, pd.NA], "NumPy's own NaN": ["a", np.float64("nan"), None, np.nan],
}  # fmt: skip


@pytest.mark.parametrize("kind", NULLS)
def test_several_kinds_of_nulls(store, kind):
    for rows in (NULLS[kind], NULLS[kind] * 300):
        df = pd.DataFrame({"x": pd.Series(object_array(rows), dtype=object), "i": range(len(rows))})
        indexed = df.set_index(pd.Index(df["x"], dtype=object, tupleize_cols=False))
        for each in (df, df[::2], df["x"].to_frame(), indexed[["i"]]):
            assert assert_same_or_refused(store, each) is None


def test_other_readers_see_plain_text_where_nulls_have_several_kinds(store):
    df = pd.concat(pd.DataFrame({"x": cells}, dtype=object) for cells in (["a", None], [np.nan, "b"]))
    with store.put("o", df) as snap:
        assert snap.to_arrow()["x"].to_pylist() == snap.to_polars()["x"].to_list() == ["a", None, None, "b"]
        (report,) = (report for report in snap.explain() if report.column == "x")
        assert (report.arrow_type, report.nulls) == ("large_string", 2)


def test_kinds_of_nulls_that_do_not_fit_are_a_damaged_file(store):
    with store.put("o", pd.DataFrame({"x": ["a", None, np.nan]}, dtype=object)) as snap:
        file = snap._stored_file(writable=False)
    ((_, layout),) = file.frame.columns
    assert read_column(file, layout).tolist()[:2] == ["a", None]
    for change in ({"kinds": ["None"]}, {"at": 0}, {"at": 2**40}):
        with pytest.raises(cn.CorruptSnapshotError):
            read_column(file, layout.replaced(nulls=layout.nulls.replaced(**change)))
