"""One process is stopped before each of its system calls, and other processes do their work in between.

What two processes do to one store is an order of their system calls. Here every order is met in which one of them does a whole
burst of things between two calls of the other: a reader between its open and its map while the segment is superseded, retired,
claimed and written again; a writer between its lease test and its rename while all others read, put, delete and collect. (Those that make many calls are
stopped before every third of them, and before every one with COLONNADE_EVERY_CALL set, as `make stress` does.)
"""

import contextlib
import os

import pytest

import colonnade as cn
from colonnade import _core
from support import payload, stepping

ROWS = 56_000  # more than 2 MiB: what is written again
EVERY_CALL = "COLONNADE_EVERY_CALL" in os.environ
REAL = _core.Descriptor
OTHERS = 8  # the seed of frames that are put under another name


@pytest.fixture(scope="module", autouse=True)
def _tracing():
    if why := stepping.why_not():
        pytest.skip(why)
    with stepping.one_processor():
        yield


@pytest.fixture(scope="module")
def frames():
    """Frames of nearly the same size, so that each fits into the spare of any other."""
    return [payload.make(seed, ROWS + 100 * seed) for seed in range(OTHERS + 1)]


def verify(snap):
    """Verify a snapshot in both readings; returns its seed."""
    attrs = payload.verify_pandas(snap.to_pandas())
    assert payload.verify_arrow(snap.to_arrow()) == attrs
    assert snap.num_rows == attrs["rows"]
    return attrs["seed"]


def is_locked(store):
    """Whether a process has the store's lock. Others would have to wait then, so there is no other order to test."""
    try:
        store._catalog.directory.lock_at_once().close()
    except BlockingIOError:
        return True
    return False


# -- what the one does that is stopped -----------------------------------------------------------------------------------


def read(store, frames):
    with contextlib.suppress(cn.NotFoundError), store.open("t") as snap:
        verify(snap)


def read_slowly(store, frames):
    """The kernel looks a name up and then opens what it found; in between it cannot be stopped, so here that is two calls."""
    _core.Descriptor = OpenedInTwoSteps
    try:
        with store.open("t") as snap:
            assert verify(snap) < OTHERS
    finally:
        _core.Descriptor = REAL


class OpenedInTwoSteps(_core.Descriptor):
    def __init__(self, path, flags, mode=0, dir_fd=-100):
        if flags & (os.O_CREAT | os.O_DIRECTORY | os.O_TMPFILE):
            super().__init__(path, flags, mode, dir_fd)
            return
        with REAL(path, os.O_PATH | os.O_NOFOLLOW, 0, dir_fd) as result:
            super().__init__(f"/proc/self/fd/{result}", flags & ~os.O_NOFOLLOW)


def read_older(store, frames):
    with contextlib.suppress(cn.NotFoundError), store.open("t", version=2) as snap:
        assert snap.version == 2
        verify(snap)


def look(store, frames):
    assert [info.name for info in store.ls()] in ([], ["t"])
    assert store.exists("t") in (True, False)


def check(store, frames):
    assert store.check() == []


def put(store, frames):
    with store.put("t", frames[7]) as snap:
        assert verify(snap) == 7


def put_and_retain(store, frames):
    with store.put("t", frames[7], keep=2) as snap:
        assert verify(snap) == 7


def swap(store, frames):
    with contextlib.suppress(cn.ConflictError):
        store.put("t", frames[7], expect_version=3).close()


def delete(store, frames):
    with contextlib.suppress(cn.NotFoundError):
        store.delete("t")


def gc(store, frames):
    store.gc()


# -- what the others do meanwhile ----------------------------------------------------------------------------------------


def puts(store, frames):
    """Enough puts that the memory of the version before them is written again."""
    for frame in frames[4:7]:
        store.put("t", frame).close()


def puts_that_retain(store, frames):
    for frame in frames[4:7]:
        store.put("t", frame, keep=2).close()


def puts_elsewhere(store, frames):
    """Put another table, which gets the segment of this one."""
    store.put("t", frames[4]).close()
    for _ in range(3):
        store.put("other", frames[OTHERS]).close()


def start_again(store, frames):
    delete(store, frames)
    puts(store, frames)


def everything(store, frames):
    puts(store, frames)
    store.gc()
    start_again(store, frames)
    read(store, frames)


MEETINGS = [
    (read, puts),
    (read, start_again),
    (read_slowly, puts),
    (read_slowly, puts_elsewhere),
    (read_older, puts),
    (read_older, puts_that_retain),
    (look, start_again),
    (check, puts_that_retain),
    (check, start_again),
    (put, everything),
    (put_and_retain, puts),
    (swap, puts),
    (delete, puts),
    (gc, everything),
]


@pytest.mark.parametrize(("one", "others"), MEETINGS, ids=[f"{one.__name__}-{two.__name__}" for one, two in MEETINGS])
def test_stopped_before_every_call_while_others_go_on(store, frames, one, others):
    meetings = stopped_at = 0
    stride = 3 if one in {check, look, put, put_and_retain, swap, gc} and not EVERY_CALL else 1
    for warm in (others, one):  # what is imported at the first use is not a step
        store.put("t", frames[0]).close()
        warm(store, frames)
    while True:
        stopped_at += stride
        delete(store, frames)
        for frame in frames[1:4]:
            store.put("t", frame, keep=2).close()
        with stepping.Stepped(lambda: one(cn.Store(store.path), frames)) as child:
            if not child.run(stopped_at):
                break
            where = f"{one.__name__} stopped before its system call {stopped_at} (number {child.call})"
            with contextlib.suppress(cn.NotFoundError), store.open("t") as snap:
                assert verify(snap) in (3, 7), where
            if is_locked(store):
                continue
            meetings += 1
            # The older one: what holds the newest would keep its memory from being written again.
            last_frame = None
            with contextlib.suppress(cn.NotFoundError), store.open("t", version=2) as snap:
                last_frame = snap.to_pandas()
                seed = payload.verify_pandas(last_frame)["seed"]
            try:
                others(store, frames)
                assert child.finish() == 0
                assert store.check() == []
                # Whoever had it open has it still, whatever both of them did.
                assert last_frame is None or payload.verify_pandas(last_frame)["seed"] == seed
            except Exception as error:
                error.add_note(where)
                raise
    assert meetings > 3


def test_a_reader_overtaken_at_every_call(store, frames):
    """The reader is overtaken at every call. It starts again each time, and in the end it gets a whole version."""
    for first in range(1, 8):
        store.put("t", frames[0]).close()
        with stepping.Stepped(lambda: read(cn.Store(store.path), frames)) as child:
            if child.run(first):
                for turn in range(40):
                    store.put("t", frames[turn % 7]).close()
                    if not child.step():
                        break
            assert child.finish() == 0
