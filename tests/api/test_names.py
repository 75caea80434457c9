"""The names of a store: lists, versions, other names for a table, and the store as a mapping."""

import os

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import colonnade as cn
from support.operations import MAPPED


def frame(n=3):
    return pd.DataFrame({"x": np.arange(n), "s": [f"s{i}" for i in range(n)]})


@pytest.fixture
def nyc(store):
    for name in ("nyc/flights", "nyc/planes", "nyc/2026/a", "nycx", "nyc"):
        store.put(name, frame()).close()
    return store


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (None, ["nyc", "nyc/2026/a", "nyc/flights", "nyc/planes", "nycx"]),
        ("nyc", ["nyc", "nyc/2026/a", "nyc/flights", "nyc/planes"]),
        ("nyc/", ["nyc/2026/a", "nyc/flights", "nyc/planes"]),
        ("nyc/*", ["nyc/2026/a", "nyc/flights", "nyc/planes"]),
        ("*/[fp]*s", ["nyc/flights", "nyc/planes"]),
        ("nyc?", ["nycx"]),
        ("no", []),
        ("", ["nyc", "nyc/2026/a", "nyc/flights", "nyc/planes", "nycx"]),
    ],
)
def test_ls_of_a_folder_or_a_pattern(nyc, pattern, names):
    assert [table.name for table in nyc.ls(pattern)] == names


def test_ls_opens_only_what_matches(nyc, monkeypatch):
    calls = []
    real = cn.Store.open
    monkeypatch.setattr(
        cn.Store, "open", lambda self, name, **options: calls.append(name) or real(self, name, **options)
    )
    nyc.ls("nyc/f*")
    assert calls == ["nyc/flights"]


def test_versions_oldest_first_and_counted_from_the_newest(store):
    for n in range(1, 6):
        store.put("a/t", frame(n), keep=3).close()
    assert [(info.version, info.rows) for info in store.versions("a/t")] == [(3, 3), (4, 4), (5, 5)]
    assert [len(store.get("a/t", version=version)) for version in (-1, -2, -3, 3)] == [5, 4, 3, 3]
    assert store.info("a/t", version=-2).version == 4
    with pytest.raises(cn.NotFoundError, match=r"no version -4 of 'a/t'.*there are 3, 4, 5"):
        store.open("a/t", version=-4)
    with pytest.raises(cn.NotFoundError, match="no version 0"):
        store.open("a/t", version=0)
    with pytest.raises(TypeError, match="version must be a whole number, got True"):
        store.open("a/t", version=True)
    for version in (-1, -2):
        with pytest.raises(cn.NotFoundError, match="no table 'b'"):
            store.open("b", version=version)
    with pytest.raises(cn.NotFoundError, match="no table 'b'"):
        store.versions("b")


# -- rename ------------------------------------------------------------------------------------------------------------


def test_rename_takes_all_versions_along(store):
    for n in (1, 2, 3):
        store.put("a/b/t", frame(n), keep=2)
    reader, identity = store.get("a/b/t"), store.open("a/b/t").identity
    store.rename("a/b/t", "c/u")
    assert [table.name for table in store.ls()] == ["c/u"]
    assert not (store.path / "a").exists()
    assert [info.version for info in store.versions("c/u")] == [2, 3]
    assert store.open("c/u").identity == identity
    assert_frame_equal(reader, frame(3))
    assert store.put("c/u", frame(4)).version == 4
    assert store.put("a/b/t", frame(1)).version == 1


def test_rename_does_not_replace(store):
    store.put("t", frame(1))
    store.put("u", frame(2))
    for new in ("u", "t"):
        with pytest.raises(cn.ConflictError, match=f"there is a table '{new}' already, at version 1; delete it first"):
            store.rename("t", new)
    assert (len(store.get("t")), len(store.get("u"))) == (1, 2)


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("tt", "u", cn.NotFoundError, "no table 'tt' in .*did you mean 't'"),
        ("t", "../u", cn.InvalidNameError, "not a name"),
        ("../t", "u", cn.InvalidNameError, "not a name"),
        ("t", "t.arrow/u", cn.InvalidNameError, "cannot be a table"),
        ("gone/t", "u/v", cn.NotFoundError, "no table 'gone/t'"),
    ],
)
def test_rename_that_is_refused_changes_nothing(store, old, new, error, message):
    store.put("t", frame())
    with pytest.raises(error, match=message):
        store.rename(old, new)
    assert [table.name for table in store.ls()] == ["t"]
    assert not [name for name in os.listdir(store.path) if not name.startswith((".", "t"))]


def test_rename_of_a_damaged_file_is_refused(store):
    path = store.put("t", frame()).path
    path.write_bytes(b"damaged")
    with pytest.raises(cn.CorruptSnapshotError):
        store.rename("t", "u/v")
    assert not (store.path / "u").exists()
    store.delete("t")


def test_rename_wakes_those_who_wait(store):
    store.put("t", frame(1))
    with store.watch("t", timeout=20) as old, store.watch("u", timeout=20) as new:
        assert next(old).version == 1
        store.rename("t", "u")
        assert next(new).num_rows == 1
        with pytest.raises(cn.NotFoundError, match="deleted while it was watched"):
            next(old)


# -- copy --------------------------------------------------------------------------------------------------------------


def test_a_copy_takes_no_memory_and_outlives_the_original(store):
    snapshot = store.put("t", frame(MAPPED))
    copied = store.copy("t", "backup/t")
    assert (copied.version, copied.identity, copied.name) == (1, snapshot.identity, "backup/t")
    assert os.path.samestat(os.stat(snapshot.path), os.stat(copied.path))
    for n in (1, 2, 3):
        store.put("t", frame(MAPPED + n)).close()  # none of them is written over the copy
        assert_frame_equal(store.get("backup/t"), frame(MAPPED))
    store.delete("t")
    assert_frame_equal(store.get("backup/t"), frame(MAPPED))
    assert store.put("backup/t", frame(1)).version == 2


@pytest.mark.parametrize("first", ["t", "u"])
def test_its_memory_is_a_spare_with_its_last_name_only(store, first):
    store.put("t", frame(MAPPED)).close()
    store.copy("t", "u").close()
    second = "u" if first == "t" else "t"
    store.delete(first)
    store.put("v", frame(MAPPED)).close()
    assert_frame_equal(store.get(second), frame(MAPPED))
    store.delete(second)
    assert store.check() == []


def test_a_copy_over_a_table_is_its_next_version(store):
    store.put("u", frame(1))
    store.put("u", frame(1))
    snapshot = store.put("t", frame(2), ttl=1000, meta={"a": 1})
    copied = store.copy("t", "u")
    assert (copied.version, copied.num_rows, copied.meta) == (3, 2, {"a": 1})
    assert copied.identity != snapshot.identity
    assert abs((copied.expires - snapshot.expires).total_seconds()) <= 2


def test_a_copy_of_an_older_version(store):
    for n in (1, 2, 3):
        store.put("t", frame(n), keep=3)
    assert store.copy("t", "one", version=1).num_rows == 1
    assert store.copy("t", "two", version=-2).num_rows == 2
    with pytest.raises(cn.NotFoundError, match="no version 9"):
        store.copy("t", "nine", version=9)
    assert not store.exists("nine")


def test_a_copy_counts_once(folder):
    store = cn.Store(folder / "s", capacity="8MiB")
    store.put("t", pd.DataFrame({"x": np.zeros(600_000)})).close()
    store.copy("t", "u").close()
    store.put("v", pd.DataFrame({"x": np.zeros(300_000)})).close()
    with pytest.raises(cn.StoreFullError):
        store.put("w", pd.DataFrame({"x": np.zeros(300_000)}))
    assert store.check() == []


def test_a_copy_wakes_those_who_wait(store):
    store.put("t", frame(2))
    with store.watch("a/u", timeout=20) as watch:
        with pytest.raises(cn.WaitTimeoutError):
            next(store.watch("a/u", timeout=0))
        store.copy("t", "a/u").close()
        assert next(watch).num_rows == 2


def test_copies_that_are_refused(store):
    store.put("t", frame())
    with pytest.raises(cn.NotFoundError, match="no table 'q'"):
        store.copy("q", "a/b")
    with pytest.raises(cn.InvalidNameError):
        store.copy("t", "../b")
    assert [table.name for table in store.ls()] == ["t"]
    assert not (store.path / "a").exists()


# -- a mapping ---------------------------------------------------------------------------------------------------------


def test_a_store_is_a_mapping_of_names(folder):
    with cn.Store(folder / "s") as store:
        assert (list(store), len(store), "t" in store, bool(store)) == ([], 0, False, True)
        store["a/t"] = frame()
        store.put("b", frame(), keep=2)
        store.put("b", frame(), keep=2)
        assert (list(store), len(store)) == (["a/t", "b"], 2)
        assert ["a/t" in store, "a" in store, "../x" in store, 7 in store, frame() in store] == [True, *[False] * 4]
        assert_frame_equal(store["a/t"], frame())
        assert (list(store.keys()), [len(each) for each in store.values()]) == (["a/t", "b"], [3, 3])
        assert [name for name, _ in store.items()] == list(dict(store)) == ["a/t", "b"]
        with pytest.raises(KeyError, match="no table 'a'"):
            store["a"]
        del store["a/t"]
        assert list(store) == ["b"]
        with pytest.raises(KeyError):
            del store["a/t"]


# -- suggestions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("nyc/flihgts", "did you mean 'nyc/flights'"),
        ("flights", "did you mean 'nyc/flights'"),
        ("NYC/Flights", "did you mean 'nyc/flights'"),
        ("zzz", "; there are: 'nyc'"),
        ("nyc/2026", "no table 'nyc/2026' in .*; it is a folder of tables; .*'nyc/2026/a'"),
    ],
)
def test_did_you_mean_that_table(nyc, wanted, message):
    with pytest.raises(cn.NotFoundError, match=message):
        nyc.open(wanted)


@pytest.mark.parametrize(
    ("wanted", "message"), [("delya", "did you mean 'delay'"), ("1", "did you mean 1"), (2, "; there are: 'delay', 1")]
)
def test_did_you_mean_that_column(store, wanted, message):
    store.put("t", pd.DataFrame({"delay": [1], 1: [2]}))
    with pytest.raises(cn.NotFoundError, match=message):
        store.get("t", columns=[wanted])
