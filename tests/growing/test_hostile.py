"""Heads and segments that are damaged, or were made to do harm: an error of the library, and never a crash."""

import os
import random
import shutil
import struct

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade.format.growing import stored_schema
from colonnade.format.growing_file import places
from colonnade.storage import log as producer_log
from colonnade.storage.log_head import COMMITTED, ENTRY_SIZE, FIRST, RING, SCHEMA, SEGMENTS, STATE
from colonnade.storage.log_reader import find_log
from growing.frames import DTYPES, assert_same, expected, frame

STRIPE = 32_768
ROWS = STRIPE + 1_000
BIG = 1 << 63


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a table of two segments, and its segments' entries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(producer_log, "SEGMENT_BYTES", 1)
        store = cn.Store(tmp_path_factory.mktemp("whole") / "store")
        with store.appender("t", like=frame(0, 8)) as log:
            log.append(frame(0, ROWS))
            reader = find_log(store._catalog, "t")
            entries = [segment.entry for segment in reader.look().segments]
        assert len(entries) == 2
        yield store.path / "t@live", entries, stored_schema(reader.schema_text)


@pytest.fixture
def damaged(store, whole):
    """A store with a copy of that table."""
    store.put("u", pd.DataFrame({"x": [1]})).close()
    shutil.copytree(whole[0], store.path / "t@live", symlinks=True)
    yield store
    store.delete("t")


def patch(store, file, at, data):
    fd = os.open(store.path / "t@live" / file, os.O_RDWR)
    os.pwrite(fd, data, at)
    os.close(fd)


def read_all(store):
    """Read it in every way; what is returned is a whole table."""
    df = store.get("t")
    store.open("t").validate()
    store.get("t", columns=["s", "c"], writable=False)
    assert len(store.latest("t").frame) == len(df)
    assert store.open("t").to_arrow(validate="full").num_rows == len(df)
    if len(df):
        assert len(next(store.follow("t", start="first", timeout=0))) == len(df)
    store.get("t", last=5)
    return df


def test_the_copy_itself_is_good(damaged):
    assert_same(read_all(damaged), expected(0, ROWS))


ENTRY = RING + ENTRY_SIZE  # the second one: base, capacity, began, bytes of text


@pytest.mark.parametrize(
    ("at", "value"),
    [
        *((COMMITTED, value) for value in (2 * STRIPE + 1, 1 << 40, (1 << 62) + 1, BIG, 2**64 - 1)),
        *((FIRST, value) for value in (1 << 40, BIG)),
        *((SEGMENTS, value) for value in (0, 1, 3, 1 << 40, BIG, 2**64 - 1)),
        *((STATE, value) for value in (3, BIG)),
        *((ENTRY, value) for value in (1, STRIPE + 1, 3 * STRIPE, BIG, 2**64 - 1)),
        *((ENTRY + 8, value) for value in (0, 1, STRIPE + 1, 2 * STRIPE, 1 << 40, 1 << 50, BIG, 2**64 - STRIPE)),
        *((ENTRY + 24, value) for value in (1, 4096, 1 << 40, BIG, 2**64 - 4096)),
        *((RING, value) for value in (STRIPE, BIG)),
        *((0, value) for value in (0, BIG)),
        *((8, value) for value in (0, 2, BIG)),
        *((40, value) for value in (0, 1, 1 << 20, BIG, 2**64 - 1)),
    ],
)
def test_a_number_of_the_head(damaged, at, value):
    patch(damaged, "head", at, struct.pack("<Q", value))
    try:
        found = read_all(damaged)
    except (cn.CorruptSnapshotError, cn.NotFoundError):
        return
    assert len(found) <= ROWS  # fewer rows than there are is all that a wrong number may show


@pytest.mark.parametrize("text", [b"", b"{", b"null", b'{"columns":[]}', b"\xff" * 60, b'{"columns":' + b"[" * 40])
def test_a_schema_that_is_none(damaged, text):
    patch(damaged, "head", SCHEMA, text.ljust(90))
    with pytest.raises(cn.CorruptSnapshotError, match="schema"):
        read_all(damaged)


@pytest.mark.parametrize("size", [0, 8, SCHEMA - 1, SCHEMA + 5])
def test_a_head_that_is_cut_off(damaged, size):
    os.truncate(damaged.path / "t@live" / "head", size)
    with pytest.raises(cn.CorruptSnapshotError, match="head"):
        read_all(damaged)


def segment_files(store):
    return sorted(path for path in (store.path / "t@live").iterdir() if path.name != "head")


@pytest.mark.parametrize("kind", ["cut", "longer", "gone", "link", "folder"])
def test_a_segment_that_is_not_what_its_entry_says(damaged, kind):
    file = segment_files(damaged)[1]
    if kind == "cut":
        os.truncate(file, file.stat().st_size - 8)
    elif kind == "longer":
        os.truncate(file, file.stat().st_size + 8)
    else:
        file.unlink()
        if kind == "link":
            file.symlink_to(segment_files(damaged)[0])
        elif kind == "folder":
            file.mkdir()
    with pytest.raises(cn.ColonnadeError, match="'t'"):
        read_all(damaged)
    if kind == "folder":
        file.rmdir()


@pytest.mark.parametrize(
    ("column", "region", "value"),
    [
        *(("s", "end", value) for value in (-1, 1 << 40, 2**63 - 1)),
        ("s", "inner", 1 << 40),
        ("s", "inner", -5),
        *(("c", "size", value) for value in (65_537, 2**63 - 1, -1)),
        *(("c", "category", value) for value in (1 << 40, -1)),
        ("c", "index", 1 << 30),
        ("c", "code", 1 << 30),
    ],
)
def test_text_and_categories_that_lead_outside(damaged, whole, column, region, value):
    _, entries, schema = whole
    where = places(schema, entries[1].capacity, entries[1].text_bytes)
    place = where.columns[schema.names.index(column)]
    at = {
        "end": lambda: place.offsets + 8 * (ROWS - STRIPE),
        "inner": lambda: place.offsets + 8 * 5,
        "size": lambda: place.dictionary.size,
        "category": lambda: place.dictionary.offsets + 8,
        "index": lambda: place.values + 4,
        "code": lambda: place.pandas + 4,
    }[region]()
    data = struct.pack("<i" if region in ("index", "code") else "<q", value)
    patch(damaged, segment_files(damaged)[1].name, at, data)
    with pytest.raises(cn.CorruptSnapshotError):
        read_all(damaged)
    assert damaged.get("u")["x"].tolist() == [1]


def test_any_bytes_of_the_head(store, whole):
    """Seeded: a few random bytes at a time."""
    numbers = random.Random(5)
    data = (whole[0] / "head").read_bytes()
    shutil.copytree(whole[0], store.path / "t@live")
    wrong = 0
    for _ in range(120):
        broken = bytearray(data)
        for _ in range(numbers.choice((1, 1, 2, 8))):
            at = numbers.choice(
                [*range(SCHEMA, len(data)), *range(72), *range(128, 136), *range(192, 208), *range(RING, RING + 64)]
            )
            broken[at] = numbers.randrange(256)
        new = store.path / "t@live" / "new"
        new.write_bytes(broken)
        new.rename(store.path / "t@live" / "head")
        try:
            df = store.get("t", columns=None)
            assert len(df) <= 2 * STRIPE
            np.asarray(df.iloc[:, 0])
        except (cn.ColonnadeError, MemoryError):
            wrong += 1
    assert wrong > 60
    store.delete("t")


def test_a_foreign_owner_is_refused(damaged, monkeypatch):
    monkeypatch.setattr(type(damaged._catalog.directory), "trusts", lambda self, owner: False)
    with pytest.raises(cn.StoreAccessError, match="belongs to user"):
        damaged.get("t")
    monkeypatch.undo()
    assert len(DTYPES) == len(damaged.open("t").schema)


PLANTED = {
    "pipe": os.mkfifo,
    "folder": os.mkdir,
    "link": lambda path: os.symlink("elsewhere", path),
    "empty file": lambda path: path.touch(),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("kind", PLANTED)
def test_something_else_in_the_place_of_the_head(damaged, kind):
    """Each call says so at once: nobody waits for the other end of a pipe."""
    head = damaged.path / "t@live/head"
    head.unlink()
    PLANTED[kind](head)
    for call in (damaged.get, damaged.open, damaged.latest("t").now, damaged.follow, damaged.appender):
        with pytest.raises((cn.CorruptSnapshotError, cn.StoreAccessError, cn.NotFoundError)):
            call() if call.__name__ == "now" else call("t")
    with pytest.raises(cn.CorruptSnapshotError if kind in ("empty file", "nothing") else cn.StoreAccessError):
        damaged.appender("t", {"x": "int64"})
    with pytest.raises(cn.InvalidNameError, match="growing table already"):
        damaged.put("t", pd.DataFrame({"x": [1]}))
    assert [problem.path.name for problem in damaged.check()] == ["t@live"]
    damaged.usage()
    if kind == "folder":
        head.rmdir()  # what is no file in it, delete does not remove


@pytest.mark.parametrize("kind", ["pipe", "empty file"])
def test_something_else_in_the_place_of_the_folder(store, kind):
    store.put("u", pd.DataFrame({"x": [1]})).close()
    PLANTED[kind](store.path / "t@live")
    with pytest.raises(cn.NotFoundError):
        store.get("t")
    with pytest.raises(cn.InvalidNameError, match="in the way of a growing table 't'"):
        store.appender("t", {"x": "int64"})
    assert [problem.path.name for problem in store.check()] == ["t@live"]
    store.put("t", pd.DataFrame({"x": [1]})).close()
    (store.path / "t@live").unlink()


def test_a_segment_that_is_lost(damaged):
    sorted((damaged.path / "t@live").glob("0*"))[-1].unlink()
    with pytest.raises(cn.CorruptSnapshotError):
        damaged.get("t")
    with pytest.raises(cn.CorruptSnapshotError, match=r"has lost .*-000001\.arrow, which its head lists"):
        damaged.appender("t")
    assert [problem.path.name for problem in damaged.check()] == ["t@live"]
