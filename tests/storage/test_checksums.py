"""Checksums of the seal, of the layout and, on request, of the values find damage that no reader would notice otherwise."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xxhash

import colonnade as cn
from fuzz.anatomy import CHECKSUMS_SIZE, SEAL_FIELDS, Anatomy

PAGE = 4096
OLD = Path(__file__).parent.parent / "compat" / "0.2.0"

FRAME = pd.DataFrame({
    "x": np.arange(100_000, dtype=np.float64),
    "n": np.arange(100_000),
    "s": [f"text {i % 977}" for i in range(100_000)],
    "c": pd.Categorical(["a", "b"] * 50_000),
})  # fmt: skip


def in_the_middle(path, data, at=None):
    """Overwrite some bytes of a file, like a disk that lost a page."""
    whole = bytearray(path.read_bytes())
    at = Anatomy(bytes(whole)).body_start()[0] + 50 * PAGE if at is None else at
    assert whole[at : at + len(data)] != data
    whole[at : at + len(data)] = data
    path.write_bytes(whole)


@pytest.mark.parametrize("what", ["zeros", "one bit", "an older page"])
def test_a_page_that_never_came_to_the_disk_is_found(store, what):
    path = store.put("t", FRAME, checksum=True).path
    page = path.read_bytes()[60 * PAGE : 61 * PAGE]
    in_the_middle(path, {"zeros": bytes(PAGE), "one bit": b"\x01", "an older page": page}[what])
    assert len(store.get("t")) == len(FRAME)  # who does not ask for it gets what is there
    for ask in (store.open, store.get):
        with pytest.raises(cn.CorruptSnapshotError, match=r"'t' .*damaged values: [\d,]+ bytes do not match"):
            ask("t", validate="full")
    (problem,) = store.check()
    assert problem.path == path
    assert "checksum" in problem.what
    store.delete("t")


def test_a_page_of_numbers_is_not_found_without_a_checksum(store):
    """A lost page reads as zeros, which are valid numbers. This is why there are checksums."""
    path = store.put("t", FRAME).path
    in_the_middle(path, bytes(PAGE))
    assert store.check() == []


@pytest.mark.parametrize("size", [100, 2_000_000])
def test_every_kind_of_table_is_found_whole(store, size):
    """Small tables are written with one call, large ones through a mapping; arrays, keys and nested tables have bytes of their own."""
    numbers = np.arange(size // 8)
    table = pd.DataFrame({"k": numbers, "v": numbers * 0.5}, index=pd.MultiIndex.from_arrays([numbers, numbers[::-1]]))
    store.put("table", table, checksum=True, key="k").close()
    store.put("array", numbers.reshape(-1, 1), checksum=True).close()
    store.put("bytes", bytes(size), checksum=True).close()
    table.to_csv(store.path.parent / "t.csv", index=False)
    store.load("loaded", store.path.parent / "t.csv", checksum=True).close()
    assert store.check() == []
    for name in ("table", "array", "bytes", "loaded"):
        path = store.open(name).path
        whole = path.read_bytes()
        for at in {0, 8, len(whole) // 3, len(whole) // 2, Anatomy(whole).end - 1}:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
            assert [problem.path for problem in store.check()] == [path], at
        path.write_bytes(whole)
    assert store.check() == []


def test_a_spare_that_is_written_again_has_its_own_checksum(store):
    for seed in range(4):
        store.put("t", np.random.default_rng(seed).random(500_000), checksum=True).close()
        store.open("t", validate="full").close()


def test_a_copy_keeps_the_checksum_and_shows_older_damage(store):
    path = store.put("t", FRAME, checksum=True).path
    store.put("copy", store.open("t")).close()
    store.open("copy", validate="full").close()
    in_the_middle(path, bytes(PAGE))
    store.put("copy", store.open("t"), checksum=True).close()
    with pytest.raises(cn.CorruptSnapshotError, match="damaged values"):
        store.open("copy", validate="full")
    store.delete("t")
    store.delete("copy")


def test_a_copy_gets_a_checksum_where_its_source_has_none(store):
    path = store.put("t", FRAME).path
    copy = store.put("copy", store.open("t"), checksum=True).path
    store.open("copy", validate="full").close()
    in_the_middle(copy, bytes(PAGE))
    assert [problem.path for problem in store.check()] == [copy]
    assert path != copy
    store.delete("copy")


def test_files_without_checksums_are_copied_as_they_are_or_get_them(store):
    store.path.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(OLD / "plain.arrow", store.path / "old.arrow")
    (store.path / "old.arrow").chmod(0o600)
    old = store.open("old")
    assert not old.has_checksums
    with store.put("same", old) as same:
        assert not same.has_checksums
        theirs, ours = (OLD / "plain.arrow").read_bytes(), same.path.read_bytes()
        assert ours[: Anatomy(theirs).seal_at] == theirs[: Anatomy(theirs).seal_at]
    with store.put("new", old, checksum=True) as new:
        assert new.has_checksums
        new.validate()
        assert new.to_arrow().equals(old.to_arrow())
    assert store.check() == []


def test_a_damaged_layout_is_found_by_every_reader(store):
    """Every bit counts: without checksums, other labels and names would be read without an error."""
    path = store.put("t", FRAME.head(10)).path
    whole = path.read_bytes()
    file = Anatomy(whole)
    numbers = {number.what: number.read(whole) for number in file.numbers}
    start, size = numbers["batch block offset"], numbers["batch block metadata"]
    places = [start + size - 1, start + size // 4, file.footer_at + file.footer_size // 2, file.footer_at + 40]
    name = whole.index(b'"labels"', file.footer_at)
    blocks = numbers["batch block offset"].to_bytes(8, "little")
    for at in [*places, name + 30, whole.index(blocks, file.footer_at) + 1]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for ask in (lambda: store.get("t"), lambda: store.open("t").to_arrow()):
            with pytest.raises(cn.CorruptSnapshotError, match=r"corrupt|damaged"):
                ask()
    path.write_bytes(whole)
    assert store.get("t").equals(FRAME.head(10))


def test_a_damaged_seal_is_found_by_who_looks_at_it(store):
    path = store.put("t", FRAME.head(10)).path
    whole = path.read_bytes()
    file = Anatomy(whole)
    for at in [*range(file.end, file.end + 44), file.end + 63, *(file.seal_at + at for at in SEAL_FIELDS.values())]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
        with pytest.raises(cn.CorruptSnapshotError, match="corrupt seal"):
            store.open("t")
        assert store.ls() == []
    path.write_bytes(whole)


def test_the_checksums_are_those_of_the_page_of_the_format(store):
    """Computes the checksums as docs/format.md describes them, with another implementation of the hash."""
    whole = store.put("t", FRAME.head(100), checksum=True).path.read_bytes()
    file = Anatomy(whole)
    assert len(whole) < 1 << 20  # more is hashed in parts
    numbers = {number.what: number.read(whole) for number in file.numbers}
    start = numbers["batch block offset"]
    body = start + numbers["batch block metadata"]
    parts = (file.layout_text, whole[start:body], whole[file.footer_at : -10], whole[: file.end])
    *layout, values = [xxhash.xxh3_64_intdigest(part) for part in parts]
    assert file.seal_at - file.end == CHECKSUMS_SIZE
    assert struct.unpack_from("<QQQQQI", whole, file.end) == (*layout, body, values, 1)
    assert whole[file.end + 44 : file.end + 56] == bytes(12)
    sealed = whole[file.end : file.end + 56] + whole[file.seal_at : file.seal_at + 64]
    assert struct.unpack_from("<Q", whole, file.end + 56) == (xxhash.xxh3_64_intdigest(sealed),)


def test_a_table_filled_in_place_has_a_whole_layout(store):
    with store.allocate("t", {"x": "float64", "b": "bool", "g": np.arange(5)}, 5) as draft:
        draft["x"][:], draft["b"][:] = np.nan, [1, 0, 1, 0, 1]
    assert store.open("t", validate="full").has_checksums
    assert store.get("t")["x"].isna().all()


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_checksum_is_true_or_false(store, wrong):
    with pytest.raises(TypeError, match="checksum must be True or False"):
        store.put("t", FRAME.head(3), checksum=wrong)
