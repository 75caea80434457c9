"""Look-ups by key: `put(key=)`, `locate` and `rows`, compared with pandas and with plain dictionaries."""

import datetime as dt
import decimal
import uuid

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from pandas.testing import assert_frame_equal

import colonnade as cn

USERS = pd.DataFrame({"user": [12, 7, 12, 3], "city": ["Oslo", "Rome", "Bern", None], "x": [1.0, 2.0, 3.0, 4.0]})

# A column, and values that are not in it.
COLUMNS = {
    "int8": (pd.Series([1, -128, 127, 1], dtype="int8"), [0, 128, -129, 2**40, 2**70]),
    "int64": (pd.Series([2**62, -1, 5, -1]), [0, -(2**63), 2**63, 2**64]),
    "uint64": (pd.Series([2**64 - 1, 5, 0, 5], dtype="uint64"), [-1, 2**64, 6]),
    "Int32, masked": (pd.Series([4, None, 0, 4], dtype="Int32"), [1, 2**31]),
    "str": (pd.Series(["ä", "", "a longer text than sixteen bytes", "ä"]), ["b", "a longer text than sixteen byteS"]),
    "str with nulls": (pd.Series(["b", None, "c", "b"]), ["a"]),
    "category of text": (pd.Series(["b", "a", "b", None], dtype="category"), ["c"]),
    "category of numbers": (pd.Series([30, 10, 30, 20], dtype="category"), [15]),
    "datetime64[s]": (pd.Series(pd.to_datetime(["2024-01-01", "1900-05-05", "2024-01-01", None])).dt.as_unit("s"), [pd.Timestamp("2024-01-01 00:00:00.5")]),
    "datetime64[ns, Europe/Oslo]": (pd.Series(pd.date_range("2024-03-30", periods=4, freq="D", tz="Europe/Oslo")), [pd.Timestamp("2024-03-30", tz="UTC")]),
    "timedelta64[ms]": (pd.Series(pd.to_timedelta([1, 2, 1, 3], unit="s")).dt.as_unit("ms"), [pd.Timedelta("1500us")]),
    "date": (pd.Series([dt.date(2024, 1, 1), dt.date(1, 1, 1), dt.date(2024, 1, 1), None]), [dt.date(2023, 1, 1)]),
    "decimal": (pd.Series([decimal.Decimal("1.50"), decimal.Decimal("2.25"), decimal.Decimal("1.50"), None]), [decimal.Decimal("3.00")]),
    "bytes": (pd.Series([b"b", b"", b"\xff" * 20, b"b"]), [b"a"]),
    "string[pyarrow], 32-bit offsets": (pd.Series(["b", "\u00e4", None, "b"], dtype=pd.ArrowDtype(pa.string())), ["a"]),
    "binary[pyarrow], 32-bit offsets": (pd.Series([b"b", None, b"c", b"b"], dtype=pd.ArrowDtype(pa.binary())), [b"a"]),
    "period[M]": (pd.Series(pd.PeriodIndex(["2024-01", "1900-05", "2024-01", None], freq="M")), [pd.Period("2024-02", "M")]),
    "UUID": (pd.Series([uuid.UUID(int=3), uuid.UUID(int=1), uuid.UUID(int=3), None]), [uuid.UUID(int=9)]),
}  # fmt: skip


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_of_key(store, name):
    column, absent = COLUMNS[name]
    frame = pd.DataFrame({"key": column, "row": range(len(column))})
    snap = store.put("t", frame, key="key")
    rows = {}
    for row, value in enumerate(column):
        if not pd.isna(value):
            rows.setdefault(value, []).append(row)
    for value, places in rows.items():
        assert snap.locate(value) == places[0]
        assert_frame_equal(snap.rows(value), frame.iloc[places])
    for value in absent:
        assert snap.locate(value) == -1
        assert len(snap.rows(value)) == 0
    probes = [*rows, *rows]
    assert snap.locate(probes).tolist() == [rows[value][0] for value in probes]
    assert snap.locate(pd.Series(probes, dtype=column.dtype)).tolist() == [rows[value][0] for value in probes]
    assert_frame_equal(snap.rows(probes), frame.iloc[[place for value in probes for place in rows[value]]])
    assert snap.locate([None, probes[0]]).tolist() == [-1, rows[probes[0]][0]]  # a null is not a key
    snap.validate()


def test_uuids(store):
    keys = [uuid.UUID(int=n) for n in (3, 1, 2)]
    snap = store.put("t", pa.table({"id": pa.array([key.bytes for key in keys], pa.binary(16))}), key="id")
    assert snap.locate([keys[2].bytes, keys[0].bytes, uuid.UUID(int=9).bytes]).tolist() == [2, 0, -1]


def test_days_of_numpy(store):
    days = np.array(["2024-01-02", "2024-01-01"], "datetime64[D]")
    snap = store.put("t", pd.DataFrame({"day": days}), key="day")
    for probes in (days, list(days), pd.to_datetime(days)):
        assert snap.locate(probes).tolist() == [0, 1]
    assert snap.locate(days[1]) == 1
    months = store.put("p", pd.DataFrame({"p": pd.period_range("2024", periods=2, freq="M")}), key="p")
    with pytest.raises(TypeError, match=r"the values to look up are extension<pandas\.period<.*>>, D"):
        months.locate(pd.Period("2024-01-01", "D"))
    assert months.locate([2**70]).tolist() == [-1]
    for wrong in (days.reshape(1, 2), np.array([2**62], "datetime64[Y]")):
        with pytest.raises(TypeError, match="the values to look up have no Arrow type"):
            snap.locate(wrong)


@pytest.mark.parametrize(
    ("labels", "key"),
    [([1, 0], 0), ([("a", "x"), ("a", "y")], ("a", "y")), ([("a", "x"), ("a", "y")], [("a", "y")])],
)
def test_a_column_whose_label_is_no_text(store, labels, key):
    frame = pd.DataFrame([[5, 7], [6, 8]])
    frame.columns = pd.Index(labels) if isinstance(labels[0], int) else pd.MultiIndex.from_tuples(labels)
    snap = store.put("t", frame, key=key)
    assert snap.locate([8, 7, 5]).tolist() == [1, 0, -1]
    assert store.put("u", store.put("t", frame), key=key).locate(8) == 1
    snap = store.put("t", frame, key=labels)
    assert snap.locate([(5, 7), (7, 5)]).tolist() == [0, -1]
    assert snap.locate(frame).tolist() == [0, 1]


@given(st.lists(st.tuples(st.integers(-3, 3), st.sampled_from(["a", "b", ""])), max_size=40))
def test_several_columns(tmp_path_factory, keys):
    store = cn.Store(tmp_path_factory.mktemp("store"))
    frame = pd.DataFrame({"n": [n for n, _ in keys], "s": [s for _, s in keys], "row": range(len(keys))})
    frame = frame.astype({"n": "int64", "s": "str"})
    snap = store.put("t", frame, key=["n", "s"])
    probes = [(n, s) for n in range(-4, 4) for s in ("a", "b", "", "c")]
    expected = [next((row for row, key in enumerate(keys) if key == target), -1) for target in probes]
    parts = pd.DataFrame(probes, columns=["n", "s"])
    for form in (probes, parts, parts.to_dict("list"), pd.MultiIndex.from_tuples(probes, names=[1, 0])):
        assert snap.locate(form).tolist() == expected
    assert snap.locate(probes[0]) == expected[0]
    assert snap.rows(probes)["row"].tolist() == [
        row for target in probes for row, key in enumerate(keys) if key == target
    ]


def test_the_row_index(store):
    frame = USERS.set_index("user")
    snap = store.put("t", frame, key=True)
    assert_frame_equal(snap.rows(12), frame.loc[[12]])
    two = USERS.dropna().set_index(["user", "city"])
    assert store.put("t", two, key=True).locate([(12, "Bern"), (12, "Rome")]).tolist() == [2, -1]
    with pytest.raises(ValueError, match="the row index, but that is a range"):
        store.put("t", USERS, key=True)


@pytest.mark.parametrize(
    "labels",
    [range(3, 9), range(10, -5, -3), range(2**63 - 2, 2**63 - 1), range(-(2**63), 2**63 - 1, 2**62), range(5, 5)],
    ids=repr,
)
def test_a_row_index_that_is_a_range(store, labels):
    if labels.stop == 2**63 - 1 and len(labels) > 1 and pd.__version__.startswith("3.0."):
        pytest.skip("pandas 3.0 makes another range of it in `take`")
    index = pd.RangeIndex(labels.start, labels.stop, labels.step, name="user")
    frame = pd.DataFrame({"x": np.arange(len(labels))}, index=index)
    snap = store.put("t", frame, key=True, unique=True)
    keys = [-(2**63), -5, -2, 0, 3, 4, 5, 8, 9, 10, 2**63 - 2, 2**63 - 1]
    expected = [labels.index(key) if key in labels else -1 for key in keys]
    assert snap.locate(keys).tolist() == expected == [snap.locate(key) for key in keys]
    assert snap.locate([4.5, None]).tolist() == snap.locate([2**70, None]).tolist() == [-1, -1]
    assert_frame_equal(snap.rows([*labels, 11]), frame, check_index_type=False)
    assert_frame_equal(store.get("t"), frame)
    assert store.open("t", validate="full").locate(11) == -1
    with pytest.raises(TypeError, match="the key 'user' is int64, the values to look up are string"):
        snap.locate("3")


def test_what_cannot_be_a_key(store):
    version = store.put("t", USERS).version
    with pytest.raises(cn.UnsupportedTypeError, match="column 'x' cannot be a key: it is double"):
        store.put("t", USERS, key="x")
    with pytest.raises(ValueError, match="key='x': 2 columns are named 'x'; rename all but one"):
        store.put("t", USERS.rename(columns={"user": "x"}), key="x")
    for wrong, message in (
        ("nobody", "there is no column 'nobody'; there are: 'user'"),
        (0, "there is no column '0'"),
        ([], "must name a column"),
    ):
        for data in (USERS, store.open("t")):
            with pytest.raises(ValueError, match=message):
                store.put("t", data, key=wrong)
    with pytest.raises(ValueError, match="unique=True is for keys"):
        store.put("t", USERS, unique=True)
    with pytest.raises(TypeError, match="views must be True or False, got 'yes'"):
        store.put("t", USERS, views="yes")
    with pytest.raises(cn.DuplicateKeyError, match="1 of 4 rows repeat a key of user, such as 12; nothing was stored"):
        store.put("t", USERS, key="user", unique=True)
    assert store.open("t").version == version
    assert store.put("t", USERS.drop_duplicates("user"), key="user", unique=True).locate(3) == 2


def test_values_of_another_kind(store):
    snap = store.put("t", USERS, key="user")
    for wrong in ("12", dt.date(2024, 1, 1), ["12"], b"x", pd.Timestamp(0)):
        with pytest.raises(TypeError, match="the key 'user' is int64"):
            snap.locate(wrong)
    assert snap.locate(12.0) == 0  # exactly the number
    assert snap.locate(12.5) == -1
    two = store.put("two", USERS.dropna(), key=["user", "city"])
    assert two.locate({"user": 12, "city": "Bern"}) == two.locate((12, "Bern")) == 2
    for wrong in (12, "ab", ["ab"], [12], [(12, "Bern", 1)], [(12, "Bern"), (12,)]):
        with pytest.raises(TypeError, match="a key of this table is a tuple of user, city; got "):
            two.rows(wrong)
    with pytest.raises(TypeError, match="each of the same length"):
        two.rows({"user": 12, "city": ["Bern"]})
    with pytest.raises(cn.ColonnadeError, match="the table has no key"):
        store.put("u", USERS).locate(1)
    with pytest.raises(cn.ColonnadeError, match="the table has no key"):
        store.put("a", np.arange(3)).locate(1)


@pytest.mark.parametrize("rows", [0, 1, 3000, 400_000])  # in memory, by pwrite, through a mapping with huge pages
def test_tables_of_every_size_fresh_and_over_spares(store, rows):
    rng = np.random.default_rng(rows)
    for turn in range(4):
        frame = pd.DataFrame({"key": rng.permutation(rows) * 3 + turn, "x": rng.random(rows)})
        snap = store.put("t", frame, key="key")
        assert np.array_equal(snap.locate(frame["key"]), np.arange(rows))
        assert (snap.locate(frame["key"] + 1) == -1).all()
        assert_frame_equal(
            pa.ipc.open_file(str(snap.path)).read_all().to_pandas(), frame
        )  # the index is nothing to others
    assert pl.read_ipc(snap.path).height == rows


def test_load_and_latest(store, tmp_path):
    USERS.to_parquet(tmp_path / "users.parquet")
    latest = store.latest("users")
    store.load("users", tmp_path / "users.parquet", key="user").close()
    assert latest.locate([7, 8]).tolist() == [1, -1]
    assert latest.rows(12)["city"].tolist() == ["Oslo", "Bern"]
    store.put("users", USERS.iloc[::-1], key="user").close()
    assert latest.rows(12)["city"].tolist() == ["Bern", "Oslo"]


@given(st.data())
def test_a_damaged_index(tmp_path_factory, data):
    """Wrong bytes in the index give an error or an answer, never a crash; ``validate="full"`` finds every byte that changes an answer."""
    store = cn.Store(tmp_path_factory.mktemp("store"))
    frame = pd.DataFrame({"key": ["a", "b", "a", "c", "d"]})
    snap = store.put("t", frame, key="key")
    whole = snap.path.read_bytes()
    at = whole.index(b"KEYINDEX") + data.draw(st.integers(0, 200))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    snap.path.write_bytes(damaged)
    try:
        result = store.open("t").locate(["a", "b", "c", "d", "e"])
    except (cn.CorruptSnapshotError, cn.UnsupportedTypeError):
        return
    assert ((result >= -1) & (result < 5)).all()
    try:
        store.open("t", validate="full")
    except cn.CorruptSnapshotError:
        return
    assert result.tolist() == [0, 1, 3, 4, -1]


def test_rows_are_copies_as_pandas_takes_them(store):
    columns = {f"{name} {n}": column[:3] for name, (column, _) in COLUMNS.items() for n in (0, 1)}
    frame = pd.DataFrame({"key": [5, 7, 5], **columns})
    levels = pd.MultiIndex.from_arrays([list("aab"), [1, 2, 1]], names=["letter", None])
    for index in (frame.index, pd.date_range("2026", periods=3), levels):
        snap = store.put("t", frame.set_axis(index), key="key")
        rows = snap.rows([7, 5])
        # By column: pandas 3.1 takes rows of a block of times as a bare array, which its own comparison refuses.
        whole = snap.to_pandas()
        assert_frame_equal(rows, pd.DataFrame({label: whole[label].take([1, 0, 2]) for label in whole}))
        rows.loc[rows.index[0], "key"] = 8
        assert snap.rows(7)["key"].tolist() == [7]
    marked = frame.set_flags(allows_duplicate_labels=False)
    marked.attrs["source"] = "here"
    rows = store.put("t", marked, key="key").rows([5, 7])
    assert rows.attrs == {"source": "here"}
    assert not rows.flags.allows_duplicate_labels
