"""What a writer and a reader do, over and over, until they are killed.

Does not depend on: which program kills them, and when.

A worker that finds what must not be raises; `run` writes it down and ends the process with status 1, which nothing else does.
"""

import contextlib
import os
import pickle
import random
import traceback
from typing import NamedTuple

import numpy as np

import colonnade as cn
from stress.board import WentBackwardsError
from support import payload
from support.place import descriptors, spares

# Names that are never deleted, and names that come and go; those that share a folder make it come and go as well.
STEADY = ("steady", "folder/a", "folder/b", "large")
FLEETING = ("fleeting", "gone/soon/a", "gone/b")
NAMES = (*STEADY, *FLEETING)
LARGE = NAMES.index("large")
# Sizes by weight, even over their logarithm: small ones; those whose memory is used again; those of many huge pages, which
# have a name of their own, because one of them takes as long as a worker lives.
_SMALL, _MAPPED, _HUGE = (1 << 10, 1 << 20), (2 << 20, 4 << 20), (8 << 20, 14 << 20)
_HELD = 12


class Held(NamedTuple):
    """A snapshot kept open, what was made from it, and what it said when it was opened."""

    snap: object
    frame: object
    table: object
    scribbled: object
    attrs: dict
    until: int


class Worker:
    """The state of one worker: its random numbers, its slot on the board, and what it does now."""

    def __init__(self, root, board, slot, seed):
        self.store = cn.Store(root)
        self.board = board
        self.slot = slot
        self.random = random.Random(seed)
        self.doing = ""
        self.round = 0

    def do(self, operation, words=""):
        self.doing = f"{operation} {words}"
        self.board.do(self.slot, operation)

    def choose(self, table):
        """One of a table's operations, by weight."""
        (operation,) = self.random.choices([row[1] for row in table], [row[0] for row in table])
        operation(self)
        self.round += 1

    def name(self):
        return (
            LARGE if self.random.random() < 0.03 else self.random.choice([i for i in range(len(NAMES)) if i != LARGE])
        )

    def gc(self):
        self.do("gc")
        self.store.gc()
        self.board.count(self.slot, "gcs")

    def list(self):
        self.do("list")
        for info in self.store.ls():
            if info.name not in NAMES:
                raise AssertionError(f"ls shows {info.name!r}, which nobody put")

    def check(self):
        self.do("check")
        problems = self.store.check()
        if problems:
            raise AssertionError(f"check finds {problems}")
        self.board.count(self.slot, "checks")

    # -- writing ---------------------------------------------------------------------------------------------------------

    def put(self):
        """One frame, put a few times: under names and conditions of its own each time."""
        self.do("make")
        (least, most) = self.random.choices((_SMALL, _MAPPED, _HUGE), (50, 47, 3))[0]
        large = least == _HUGE[0]
        size = least * (most / least) ** self.random.random()
        df = payload.make(self.random.getrandbits(48), int(size / payload.ROW_BYTES))
        for _ in range(self.random.randint(1, 5)):
            name = LARGE if large else self.random.choice([i for i in range(len(NAMES)) if i != LARGE])
            self._put(name, df, self.random.randint(1, 3), expect=self.random.random() < 0.5)

    def _put(self, name, df, keep, *, expect):
        board = self.board
        before = board.before(name)
        version = None
        df.attrs.pop("version", None)
        if expect:
            self.do("open", f"{NAMES[name]} for its version")
            with contextlib.suppress(cn.NotFoundError), self.store.open(NAMES[name]) as snap:
                version = snap.version
            version = version or 0
            df.attrs["version"] = version + 1
        self.do("put", f"{NAMES[name]}, {df.attrs}, keep={keep}, expect_version={version}")
        board.puts_begun[self.slot, name] += 1
        there = spares(self.store.path)
        try:
            with self.store.put(NAMES[name], df, keep=keep, expect_version=version) as snap:
                put = snap.version
                board.count(self.slot, "recycled", os.fstat(snap._segment.fd).st_ino in there)
        except cn.ConflictError:
            if not expect:
                raise
            board.count(self.slot, "conflicts")
            return
        board.puts_done[self.slot, name] += 1
        board.count(self.slot, "puts")
        if expect and put != version + 1:
            raise AssertionError(f"put with expect_version={version} made version {put}")
        board.after(self.slot, name, before, put, above=True)

    def delete(self):
        name = NAMES.index(self.random.choice(FLEETING))
        self.do("delete", NAMES[name])
        self.board.begin_delete(self.slot, name)
        with contextlib.suppress(cn.NotFoundError):
            self.store.delete(NAMES[name])
            self.board.count(self.slot, "deletes")
        self.board.end_delete(self.slot)

    # -- reading ---------------------------------------------------------------------------------------------------------

    def read(self, readers):
        """Open a name, or an older version of it, verify it, and perhaps keep it for a while."""
        name = self.name()
        with self._open(name) as snap:
            if snap is None:
                return
            reader = self._verify(snap)
            older = snap.version - self.random.randint(1, 2)
        if self.random.random() < 0.6:
            readers.append(reader)
        else:
            reader.snap.close()
        if older > 0 and self.random.random() < 0.3:
            self._read_older(NAMES[name], older)

    @contextlib.contextmanager
    def _open(self, name):
        self.do("open", NAMES[name])
        before = self.board.before(name)
        try:
            snap = self.store.open(NAMES[name])
        except cn.NotFoundError:
            self.board.after(self.slot, name, before, 0)
            self.board.count(self.slot, "missing")
            yield None
            return
        self.board.after(self.slot, name, before, snap.version)
        yield snap

    def _read_older(self, name, version):
        self.do("open", f"{name} version {version}")
        try:
            snap = self.store.open(name, version=version)
        except cn.NotFoundError:
            self.board.count(self.slot, "missing")
            return
        with snap:
            if snap.version != version:
                raise AssertionError(f"asked for version {version} and got {snap.version}")
            self._verify(snap)

    def _verify(self, snap):
        self.do("verify", repr(snap))
        frame, table = snap.to_pandas(), snap.to_arrow()
        attrs = self._same(snap, frame, table, None)
        scribbled = None
        if self.random.random() < 0.4:
            self.do("verify", f"{snap!r} after writing into a frame of it")
            scribbled = self._scribble(snap)
            self._same(snap, frame, table, attrs)
            payload.verify_pandas(snap.to_pandas())
        if self.random.random() < 0.1:
            self._travel(snap)
        self.board.count(self.slot, "reads")
        self.board.count(self.slot, "bytes", snap.nbytes)
        return Held(snap, frame, table, scribbled, attrs, self.round + self.random.randint(1, 8))

    @staticmethod
    def _same(snap, frame, table, attrs):
        """Check that pandas, Arrow and the beginning of the file agree with each other and with what was read before."""
        output = [payload.verify_pandas(frame), payload.verify_arrow(table), payload.verify_head(snap)]
        if output != [attrs or output[0]] * 3:
            raise payload.TornError(f"pandas, Arrow and the head say {output}; before: {attrs}")
        if (snap.num_rows, snap.version) != (output[0]["rows"], output[0].get("version", snap.version)):
            raise payload.TornError(f"the seal of {snap!r} is not that of {output[0]}")
        return output[0]

    def _scribble(self, snap):
        mine = snap.to_pandas()
        mine["int"] += 1
        mine.loc[mine.index[:: self.random.randint(1, 2000)], "float"] = -7.0
        self.board.count(self.slot, "scribbles")
        return mine["float"].to_numpy(), mine["float"].to_numpy().copy()

    def _travel(self, snap):
        """Open the table as another process would, by the pickled reference."""
        try:
            again = pickle.loads(pickle.dumps(snap))
        except cn.NotFoundError:
            return
        with again:
            if again.identity != snap.identity:
                raise AssertionError(f"the reference of {snap!r} led to {again!r}")
            self.board.count(self.slot, "references")

    def release(self, readers):
        """Verify snapshots again before they are released: this shows a page that was reused meanwhile."""
        due = [reader for reader in readers if reader.until <= self.round] or readers[:1] * (len(readers) > _HELD)
        for reader in due:
            self.do("hold", repr(reader.snap))
            self._same(reader.snap, reader.frame, reader.table, reader.attrs)
            if reader.scribbled and not np.array_equal(*reader.scribbled, equal_nan=True):
                raise payload.TornError(f"what was written into a frame of {reader.snap!r} is not what is there now")
            reader.snap.close()
            self.board.count(self.slot, "held")
        readers[:] = [reader for reader in readers if not any(reader is is_null for is_null in due)]


WRITES = ((90, Worker.put), (7, Worker.delete), (1, Worker.gc), (2, Worker.list))
READS = ((3, Worker.list), (1, Worker.check), (1, Worker.gc))


def write(worker):
    """Write until killed."""
    before = descriptors()
    while True:
        worker.choose(WRITES)
        if (now := descriptors()) != before:
            raise AssertionError(f"a writer had {before} descriptors and has {now}")


def read(worker):
    """Read until killed."""
    readers = []
    before = descriptors()
    table = ((60, lambda worker: worker.read(readers)), *READS)
    while True:
        worker.choose(table)
        worker.release(readers)
        if (now := descriptors()) != before + len(readers):
            raise AssertionError(f"a reader had {before} descriptors, holds {len(readers)} snapshots, and has {now}")


def run(life, worker, evidence):
    """Run until killed. If the work ends by itself, write down why."""
    try:
        life(worker)
    except BaseException as error:
        kind = "backwards" if isinstance(error, WentBackwardsError) else type(error).__name__
        answer = f"{kind} in process {os.getpid()}, doing: {worker.doing}\n\n{traceback.format_exc()}"
        (evidence / f"failure-{os.getpid()}.txt").write_text(answer)
    os._exit(1)
