"""`gc` removes what the store made, and nothing else in its directory."""

import os
import stat
import subprocess

import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn

FRAME = pd.DataFrame({"x": [1, 2, 3]})


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_not_the_stores_stays(folder):
    """A directory with other things in it: a repository, empty folders, files whose names look like versions."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    (folder / "empty/inner").mkdir(parents=True)
    (folder / "results").mkdir()
    (folder / "report@2.arrow").write_text("not a table")
    (folder / "results/report@3.arrow").write_bytes(b"")
    (folder / ".publish").write_text("a user's own")
    (folder / ".settings-draft").write_text("a user's own")
    with pa.OSFile(str(folder / "foreign@1.arrow"), "wb") as file, pa.ipc.new_file(file, pa.schema([])):
        pass
    before = everything(folder)
    store = cn.Store(folder)
    store.put("results/t", FRAME, keep=2).close()
    store.put("results/t", FRAME, keep=2).close()
    store.put("made/here/t", FRAME, ttl=1).close()
    store.gc()
    store.delete("results/t")
    store.delete("made/here/t")
    freed = store.gc()
    assert everything(folder) == before
    assert freed == (0, 0, 0, 0)


def test_what_the_store_made_goes(folder):
    store = cn.Store(folder / "s")
    store.put("a/b/t", FRAME, keep=3).close()
    store.put("a/b/t", FRAME, keep=3).close()
    (store.path / "a/b/t.arrow").unlink()  # a version is left of a table that is gone
    os.mkdir(store.path / "c", 0o700 | stat.S_ISVTX)  # as a put leaves it that is killed before its rename
    (store.path / "theirs").mkdir()
    freed = store.gc()
    assert (freed.files, freed.folders) == (1, 3)
    assert everything(store.path) == ["theirs"]


def test_a_users_folder_is_used_and_left(folder):
    (folder / "prices").mkdir(mode=0o750)
    store = cn.Store(folder)
    store.put("prices/2026/t", FRAME).close()
    store.delete("prices/2026/t")
    assert everything(folder) == ["prices"]
    assert stat.S_IMODE((folder / "prices").stat().st_mode) == 0o750


@pytest.mark.parametrize("name", ["t@7.arrow", "t@1.arrow"])
def test_a_version_that_another_name_has_is_not_taken_for_one(folder, name):
    """The seal contains the version of a file, but a file that was copied to another name must not count as a version of that name."""
    store = cn.Store(folder / "s")
    for _ in range(2):
        store.put("t", FRAME).close()
    (store.path / "t.arrow").rename(store.path / name)
    store.gc()
    assert everything(store.path) == [name]


def test_what_a_killed_delete_left_is_not_found_and_does_not_come_back(folder):
    """A delete removes the newest version first. Without it, no reader finds the other versions and no put retains them."""
    store = cn.Store(folder / "s")
    for _ in range(3):
        store.put("t", FRAME, keep=3).close()
    (store.path / "t.arrow").unlink()
    assert not store.exists("t")
    assert store.ls() == []
    assert store.check() == []
    for version in (None, 2):
        with pytest.raises(cn.NotFoundError, match=r"there is no table 't'|the store is empty"):
            store.open("t", version=version)
    with pytest.raises(cn.NotFoundError):
        store.delete("t")
    with store.put("t", FRAME, keep=3) as snapshot:
        assert snapshot.version == 1
    assert [entry.name for entry in store.path.glob("t*")] == ["t.arrow"]
