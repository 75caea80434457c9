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
from colonnade.format.growing_envelope import envelope, places
from colonnade.format.growing_file import read_state
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_room
from colonnade.storage.log_head import COMMITTED, ENTRY_SIZE, FIRST, RING, SCHEMA, SEGMENTS, STATE
from colonnade.storage.log_reader import find_log
from growing.frames import DTYPES, assert_same, expected, frame

ROWS = STRIPE + 1_000
BIG = 1 << 63


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a table of two segments, and its segments' entries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_room, "SEGMENT_BYTES", 1)
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
        result = read_all(damaged)
    except (cn.CorruptSnapshotError, cn.NotFoundError):
        return
    assert len(result) <= ROWS  # fewer rows than there are is all that a wrong number may show


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


def flip(store, file, at):
    path = store.path / "t@live" / file
    with path.open("r+b", buffering=0) as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 0x41]))


def found_damage(store):
    return [(problem.path.name, problem.what) for problem in store.check()]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (3, "is not the head"),
        (9, "has format"),
        (41, "its schema alone"),
        (100, "bytes 72 to 128 are not 0"),
        (FIRST, "the first row is 65"),
        (SEGMENTS, "segment"),
        (STATE, "is in state"),
        (300, "bytes 280 to 320"),
        (4000, "bytes 344 to 4096"),
        (RING, "do not follow each other"),
        (ENTRY + 8, "a segment of a growing table has"),
        (SCHEMA + 20, "no valid schema"),
    ],
)
def test_check_finds_a_byte_of_the_head(damaged, at, words):
    assert found_damage(damaged) == []
    flip(damaged, "head", at)
    [(file, what)] = found_damage(damaged)
    assert file == "head"
    assert words in what


@pytest.mark.parametrize("number", [0, 1], ids=["sealed", "open"])
@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("magic", "differs from what every segment of this schema has"),
        ("schema", "differs from what every segment of this schema has"),
        ("end", "differs from what every segment of this schema has"),
        ("length", "footer of"),
        ("footer", "footer"),
        ("rows", "shows"),
        ("nulls", "nulls to other programs"),
        ("a buffer", "differs from the message of the rows"),
        ("a buffer of a dictionary", "differs from the message of a dictionary"),
        ("f.validity", "'f': pandas would read other values"),
        ("flag.values", "'flag': pandas would read other values"),
        ("flag.pandas", "'flag': pandas would read other values"),
        ("m.mask", "'m': pandas would read other values"),
        ("c.values", "'c'"),
        ("c.pandas", "'c': pandas would read other values"),
        ("s.offsets", "'s' is damaged"),
        ("dictionary.size", "'c'"),
        ("dictionary.offsets", "damaged"),
    ],
)
def test_check_finds_a_byte_of_a_segment(damaged, whole, number, place, words):
    _, entries, schema = whole
    file = segment_files(damaged)[number]
    where = places(schema, entries[number].capacity, entries[number].text_bytes)
    around, state = envelope(schema.encode()), read_state(schema, where, file.read_bytes())
    message = state.next_message - len(around.batch.message)
    column = where.columns[schema.names.index(place.partition(".")[0])] if "." in place and place[0] in "fmcs" else None
    dictionary = where.columns[schema.names.index("c")].dictionary
    at = {
        "magic": 3,
        "schema": 500,
        "end": where.size - 2,
        "length": where.size - 10,
        "footer": state.footer + 8,
        "rows": message + around.batch.nodes,
        "nulls": message + around.batch.nodes + 16 * schema.names.index("f") + 8,
        "a buffer": message + around.batch.buffers + 16 * 3,
        "a buffer of a dictionary": state.dictionary_blocks[0][0] + around.dictionaries[0].buffers + 16,
        "dictionary.size": dictionary.size,
        "dictionary.offsets": dictionary.offsets + 8 * 3,
    }.get(place)
    if at is None:
        at = getattr(column, place.partition(".")[2]) + (8 * 5 if place == "s.offsets" else 4)
    flip(damaged, file.name, at)
    result = found_damage(damaged)
    assert [name for name, _ in result] == [file.name]
    assert words in result[0][1]


def test_check_finds_what_two_segments_say_of_each_other(damaged, whole):
    _, entries, schema = whole
    where = places(schema, entries[1].capacity, entries[1].text_bytes)
    flip(damaged, segment_files(damaged)[0].name, where.columns[schema.names.index("c")].dictionary.text)
    [(_, what)] = found_damage(damaged)
    assert "'c' has other categories than the segment before" in what


def test_check_finds_files_that_are_gone_or_do_not_belong(damaged):
    folder = damaged.path / "t@live"
    first, second = segment_files(damaged)
    (folder / "notes.txt").write_text("mine")
    (folder / "folder").mkdir()
    second.unlink()
    os.truncate(first, first.stat().st_size - 8)
    problems = {problem.path.name: problem for problem in damaged.check()}
    assert "bytes, and the head says" in problems[first.name].what
    assert problems[second.name].what == "it is missing"
    assert problems["notes.txt"].what == "not a file of this store"
    assert problems["folder"].what == "neither a file nor a folder"
    assert "colonnade delete t" in problems[first.name].remedy
    (folder / "head").unlink()
    assert ("head", "it is missing") in found_damage(damaged)
    (folder / "notes.txt").unlink()
    (folder / "folder").rmdir()


@pytest.mark.parametrize("column", ["s", "c"])
def test_a_producer_does_not_follow_what_leads_outside(damaged, whole, column):
    _, entries, schema = whole
    where = places(schema, entries[1].capacity, entries[1].text_bytes)
    place = where.columns[schema.names.index(column)]
    at = place.offsets + 8 * (ROWS - STRIPE) if column == "s" else place.dictionary.offsets + 16
    for value in (-1, 1 << 40, 2**63 - 1):
        patch(damaged, segment_files(damaged)[1].name, at, struct.pack("<q", value))
        with pytest.raises(cn.CorruptSnapshotError, match="damaged"):
            damaged.append("t", frame(ROWS, 5))
    patch(damaged, segment_files(damaged)[1].name, where.columns[schema.names.index("c")].dictionary.size, b"\xff" * 8)
    with pytest.raises(cn.CorruptSnapshotError):
        damaged.append("t", frame(ROWS, 5))


def test_gc_removes_the_segments_that_a_killed_producer_had_begun(damaged):
    folder = damaged.path / "t@live"
    segment = folder / f"{2 * STRIPE:020d}-000002.arrow"
    shutil.copyfile(segment_files(damaged)[1], segment)
    with damaged.appender("t"):  # it removes such files when it begins
        shutil.copyfile(segment_files(damaged)[0], segment)
        assert damaged.gc().files == 0  # it may be making this one
        assert segment.exists()
    shutil.copyfile(segment_files(damaged)[0], segment)
    assert damaged.check() == []
    assert damaged.gc().files == 1
    assert not segment.exists()
    assert_same(read_all(damaged), expected(0, ROWS))


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
    assert [problem.path.name for problem in damaged.check()] == ["head"]
    why = "this user may not read them .*" if kind in ("folder", "link") else "they are damaged"
    with pytest.warns(UserWarning, match=rf"left out, because {why}: 't'\. check\(\) says why"):
        assert [table.name for table in damaged.ls()] == ["u"]
    damaged.usage()
    if kind == "folder":
        head.rmdir()  # delete removes only files


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
    assert [problem.path.name[-12:] for problem in damaged.check()] == ["000001.arrow"]
