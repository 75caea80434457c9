"""A full file system: an append is stored or refused, readers are undisturbed, and it goes on when there is room."""

import os

import pytest

import colonnade as cn
from colonnade.format.stripes import STRIPE
from growing import rows

PAGE = os.sysconf("SC_PAGE_SIZE")


class Filler:
    """A file that leaves so many pages of a file system free."""

    def __init__(self, folder):
        self.path = folder / "filler"
        self.folder = folder

    def leave(self, pages):
        self.path.write_bytes(b"")
        stats = os.statvfs(self.folder)
        with self.path.open("r+b") as file:
            if (size := (stats.f_bfree - pages) * stats.f_frsize) > 0:
                os.posix_fallocate(file.fileno(), 0, size)


@pytest.mark.parametrize(
    ("before", "after"), [(20, 30), (STRIPE - 2, STRIPE + 3)], ids=["in a segment", "into another one"]
)
def test_an_append_without_room_is_refused_whole(small, before, after):
    store, filler = cn.Store(small / "store"), Filler(small)
    with store.appender("t", like=rows.make(0, 1), retain=8) as log:
        log.append(rows.make(0, before))
        reader = store.get("t")
        shared = store.latest("t").frame
        batch = rows.make(before, after)
        refused = 0
        for pages in range(200):
            filler.leave(pages)
            try:
                log.append(batch)
            except cn.StoreFullError:
                refused += 1
                assert log.num_rows == before
                assert rows.verify_pandas(store.get("t")) == range(before)
                assert len(rows.segments_of(store, "t")) == 1
            else:
                break
        assert refused or before == 20, "the table had room in pages that it had already"
        assert log.num_rows == after
        filler.path.unlink()
        log.append(rows.make(after, after + 500))
    for frame in (reader, shared):
        assert rows.verify_pandas(frame) == range(before)
    result = rows.verify_pandas(store.get("t"))
    assert result.stop == after + 500
    assert store.check() == []


def test_rows_until_it_is_full(small):
    store = cn.Store(small / "store")
    with store.appender("t", like=rows.make(0, 1)) as log:
        latest = store.latest("t")
        readers = []
        with pytest.raises(cn.StoreFullError):
            while True:
                log.append(rows.make(log.num_rows, log.num_rows + 9_000))
                readers.append(latest.frame)
        assert len(readers) > 5
        for frame in (readers[0], readers[-1]):
            rows.verify_pandas(frame, 0, len(frame))
        assert len(readers[-1]) == log.num_rows
        with pytest.raises(cn.StoreFullError):  # again, and nothing has changed
            log.append(rows.make(log.num_rows, log.num_rows + 9_000))
        rows.verify_pandas(store.get("t"), 0, log.num_rows)


def test_a_table_without_room_for_its_first_rows(small):
    store, filler = cn.Store(small / "store"), Filler(small)
    store.put("other", rows.make(0, 1)).close()
    with store.appender("t", like=rows.make(0, 1)) as log:
        filler.leave(1)
        with pytest.raises(cn.StoreFullError):
            log.append(rows.make(0, 5))
        assert len(store.get("t")) == 0
        assert rows.segments_of(store, "t") == []
        filler.path.unlink()
        assert log.append(rows.make(0, 5)) == 5
    rows.verify_pandas(store.get("t"), 0, 5)
