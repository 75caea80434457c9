"""A reader looks before each store of the head, and again when the rows are published: what it kept of the first look is still right."""

import contextlib

import pytest

from colonnade import _append_segments
from colonnade.format.stripes import STRIPE
from colonnade.storage import log_room
from colonnade.storage.log import Log
from growing import rows

NAME = "t"


class Looks:
    """Calls a function before the store of this number, and before and after publication, which count as stores."""

    def __init__(self, monkeypatch, number, look):
        self._number, self._look, self.count = number, look, 0
        store, publish = Log._store, Log.publish

        def storing(log, at, value):
            self._next()
            store(log, at, value)

        def publishing(log, committed):
            self._next()
            publish(log, committed)
            self._next()

        monkeypatch.setattr(Log, "_store", storing)
        monkeypatch.setattr(Log, "publish", publishing)

    def _next(self):
        self.count += 1
        if self.count == self._number + 1:
            self._look()


def append(log, start, stop):
    log.append(rows.make(start, stop))


def flush_each(log, start, stop):
    for number in range(start, stop):
        append(log, number, number + 1)
        log.flush()


def fail_first(log, start, stop):
    """An append over two segments fails before it publishes; the next one is shorter."""
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(OSError):
        patch.setattr(_append_segments.SegmentWriter, "write", _write_and_fail(_append_segments.SegmentWriter.write))
        append(log, start, stop + STRIPE)
    append(log, start, stop)


def _write_and_fail(write):
    def call(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Log, "publish", _fail)
            write(*arguments)

    return call


def _fail(*_):
    raise OSError


@pytest.mark.parametrize(
    ("before", "after", "act", "text"),
    [
        pytest.param(20, 50, append, None, id="append"),
        pytest.param(0, 50, append, None, id="first rows"),
        pytest.param(STRIPE - 5, 3 * STRIPE + 10, append, None, id="roll over"),
        pytest.param(20, 23, flush_each, None, id="flush"),
        pytest.param(STRIPE - 5, STRIPE + 3, fail_first, None, id="after an append that fails"),
        pytest.param(690, 800, append, 4096, id="text without room"),
        pytest.param(STRIPE - 5, STRIPE + 9_000, append, 500_000 // 4096 * 4096, id="text without room, next stripe"),
    ],
)
def test_a_reader_that_looks_before_each_store(store, monkeypatch, before, after, act, text):
    monkeypatch.setattr(log_room, "SEGMENT_BYTES", 1 if text is None else 16 << 20)
    if text is not None:
        monkeypatch.setattr(log_room.Room, "text_bytes", lambda *arguments: max(text, arguments[-1] // 4096 * 4096))
        monkeypatch.setattr(_append_segments, "text_of", lambda _: 1)
    number, count = 0, 1
    while number < count:
        views = []

        def look(views=views):
            snapshot, latest = store.open(NAME), store.latest(NAME)
            views.append((snapshot, snapshot.to_pandas(writable=False), latest, latest.frame))

        with (
            store.appender(NAME, like=rows.make(0, 1)) as log,
            pytest.MonkeyPatch.context() as patch,
        ):
            append(log, 0, before)
            looks = Looks(patch, number, look)
            act(log, before, after)
            count = looks.count
            for snapshot, frame, latest, newest in views:
                assert snapshot.version in {before, after} or act is flush_each
                for each in (frame, newest):
                    rows.verify_pandas(each, stop=snapshot.version)
                rows.verify_pandas(latest.frame, stop=after)
                rows.verify_pandas(store.get(NAME), stop=after)
                if snapshot.version < after:
                    new = next(store.follow(NAME, start=snapshot.version, timeout=0))
                    rows.verify_pandas(new.to_pandas(), snapshot.version, after)
        views.clear()
        store.delete(NAME)
        number += 1
    assert count > 1
