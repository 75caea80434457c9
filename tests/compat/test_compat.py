"""Files of earlier and later releases are read as they were put, or refused with a clear error."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from compat.tables import ARRAYS, FRAMES, TABLES

RELEASES = sorted(path for path in Path(__file__).parent.iterdir() if path.is_dir() and (path / "plain.arrow").exists())
FILES = [path for release in RELEASES for path in sorted(release.glob("*.arrow"))]


@pytest.fixture
def stored(store):
    """Give a file of a release a name in a store."""

    def add(path):
        store.path.mkdir(mode=0o700, exist_ok=True)
        target = store.path / f"{path.stem}.arrow"
        shutil.copyfile(path, target)
        target.chmod(0o600)
        return path.stem

    return add


def test_this_release_has_its_files():
    assert cn.__version__ in {release.name for release in RELEASES}, "python -m compat.write, in tests/"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_every_release_are_read_as_they_were_put(stored, store, path):
    name = stored(path)
    with store.open(name, validate="full") as snapshot:
        if name in ARRAYS:
            expected = ARRAYS[name]()
            array = snapshot.to_numpy()
            assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
            assert array.tobytes() == expected.tobytes()
        elif name in TABLES:
            assert snapshot.to_arrow().equals(TABLES[name]())
        else:
            expected = FRAMES[name]()
            pd.testing.assert_frame_equal(snapshot.to_pandas(), expected, check_freq=True)
            assert snapshot.to_pandas().attrs == expected.attrs
        assert (snapshot.version, store.ls()[0].name) == (1, name)


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_versions_count_on_from_those_of_another_release(stored, store, release):
    name = stored(release / "plain.arrow")
    with store.put(name, pd.DataFrame({"x": [1]})) as snapshot:
        assert snapshot.version == 2
    assert store.put(name, pd.DataFrame({"x": [2]}), expect_version=2).version == 3


def _with_format(path, number):
    """The file that a release with another format number would write."""
    data = bytearray(path.read_bytes())
    (footer,) = struct.unpack_from("<i", data, len(data) - 10)
    at = len(data) - 10 - footer - 64
    assert data[at : at + 8] == b"COLONNAD"
    struct.pack_into("<I", data, at + 8, number)
    return data


def test_a_file_of_a_later_format_is_refused_by_name_and_left_alone(stored, store):
    name = stored(RELEASES[-1] / "plain.arrow")
    path = store.path / f"{name}.arrow"
    later = _with_format(path, 99)
    path.write_bytes(later)
    for read in (store.open, store.get):
        with pytest.raises(cn.CorruptSnapshotError, match=r"format 99.*formats 2 and 3"):
            read(name)
    store.gc()
    assert path.read_bytes() == later
    path.unlink()


def test_settings_of_a_later_release_are_not_ignored(store):
    """This release could violate a setting that it does not know."""
    store.put("t", pd.DataFrame({"x": [1]})).close()
    settings = store.path / ".settings"
    settings.write_text('{"retention": "of the future"}')
    settings.chmod(0o600)
    with pytest.raises(cn.StoreAccessError, match="settings cannot be read"):
        store.put("t", pd.DataFrame({"x": [2]}))
    settings.unlink()
    assert np.array_equal(store.get("t")["x"], [1])
