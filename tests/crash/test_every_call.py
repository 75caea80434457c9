"""Processes killed at every step of a put, a delete or a gc: the store is as before or as after, and nothing else remains.

What a process does to a store it does in system calls. One run is stepped from call to call, to see which of them change
anything: a name, a link, a size, the memory that is taken. Then a run each is killed after each of these, which meets every state
that a crash can leave. (With COLONNADE_EVERY_CALL set, before every call there is.) A row of `SCENARIOS` is what is there
before, and what is done: a new step in the store needs a new row only where no row makes it.
"""

import functools
import os
import pickle
import shutil
from types import SimpleNamespace
from typing import NamedTuple

import pytest

import colonnade as cn
from colonnade import _share
from colonnade.storage import memory_limits, process_group  # noqa: F401 -- imported before the steps are counted
from support import payload, stepping, unnamed
from support.place import Place, entries

# Rows: 2 kB and 1.6 MB, which are written; 2.5 and 3.3 MB, which are mapped, and whose memory is used again.
SMALL, WRITTEN, MAPPED, LARGER = 50, 40_000, 60_000, 80_000


EVERY_CALL = "COLONNADE_EVERY_CALL" in os.environ
make = functools.cache(payload.make)


def put(name, seed, rows=SMALL, keep=1, **options):
    """Put one frame, whose values show which put it was."""
    return lambda store: store.put(name, make(seed, rows), keep=keep, **options).close()


def puts(name, *seeds, rows=SMALL, keep=1):
    return lambda store: [put(name, seed, rows, keep)(store) for seed in seeds]


def delete(name):
    return lambda store: store.delete(name)


def both(*actions):
    return lambda store: [action(store) for action in actions]


def read(store):
    with store.open("t") as snap:
        payload.verify_pandas(snap.to_pandas())
        payload.verify_arrow(snap.to_arrow())


def share(seed, rows=SMALL):
    """Share a table, open it by its reference, and release it."""

    def act(store):
        with store.share(make(seed, rows)) as shared:
            pickle.loads(pickle.dumps(shared)).close()

    return act


def send(seed, rows=SMALL):
    """Begin a process group, and send a table to this process itself."""

    def act(store):
        writer = store._writer
        with store.share(make(seed, rows)) as shared:
            reference = _share.send(writer, shared, _share.begin_group(writer))
        payload.verify_pandas(_share.receive(reference, lambda snapshot: snapshot.to_pandas()))

    return act


def litter(store):
    """What killed writers leave: a staged segment, and a draft that nobody holds."""
    (store.path / ".segments").mkdir(exist_ok=True)
    shutil.copy(store.path / "t.arrow", store.path / ".publish")
    (store.path / ".segments/draft-00112233").write_bytes(bytes(10_000))


def without_unnamed_files(action):
    """Run as on a file system without O_TMPFILE, in the child only."""

    def act(store):
        unnamed.refuse()
        action(store)

    return act


class Scenario(NamedTuple):
    """What the store contains, what is done, and whether a reader has each of the tables open."""

    before: object
    action: object
    held: bool = False


SCENARIOS = {
    "first put": Scenario(both(), put("t", 9)),
    "first put, of three parts": Scenario(both(), put("a/b/t", 9)),
    "put": Scenario(put("t", 1), put("t", 9), held=True),
    "put, versions retained": Scenario(puts("t", 1, 2, keep=3), put("t", 9, keep=3)),
    "put, versions retained and pruned": Scenario(puts("t", 1, 2, 3, keep=3), put("t", 9, keep=2), held=True),
    "put, expecting a version": Scenario(puts("t", 1, 2), put("t", 9, expect_version=2)),
    "put in pieces": Scenario(puts("t", 1, 2, rows=WRITTEN), put("t", 9, WRITTEN)),
    "put without unnamed files": Scenario(puts("t", 1, 2), without_unnamed_files(put("t", 9))),
    "put after a crash": Scenario(both(puts("t", 1, 2), litter), put("t", 9)),
    "put that retires the first spare": Scenario(put("t", 1, MAPPED), put("t", 9, MAPPED)),
    "put into a spare": Scenario(puts("t", 1, 2, rows=MAPPED), put("t", 9, MAPPED), held=True),
    "put into a spare that is smaller": Scenario(puts("t", 1, 2, rows=MAPPED), put("t", 9, LARGER)),
    "put into a spare that is larger": Scenario(puts("t", 1, 2, rows=LARGER), put("t", 9, MAPPED)),
    "put that retires what was retained": Scenario(puts("t", 1, 2, 3, rows=MAPPED, keep=3), put("t", 9, MAPPED, 1)),
    "delete": Scenario(puts("t", 1, 2), delete("t"), held=True),
    "delete of many versions in a folder": Scenario(puts("a/b/t", 1, 2, 3, keep=3), delete("a/b/t")),
    "delete that retires": Scenario(puts("t", 1, 2, rows=MAPPED, keep=2), delete("t")),
    "rename of many versions": Scenario(
        puts("a/b/t", 1, 2, 3, keep=3), lambda store: store.rename("a/b/t", "c/u"), held=True
    ),
    "copy": Scenario(puts("t", 1, 2, keep=2), lambda store: store.copy("t", "a/u").close(), held=True),
    "copy over a table": Scenario(both(put("t", 1), put("u", 2)), lambda store: store.copy("t", "u").close()),
    "gc after a crash": Scenario(both(puts("t", 1, 2), litter), lambda store: store.gc()),
    "gc of spares": Scenario(puts("t", 1, 2, rows=MAPPED), lambda store: store.gc()),
    "share": Scenario(puts("t", 1, 2), share(9)),
    "share in a spare": Scenario(puts("t", 1, 2, rows=MAPPED), share(9, MAPPED), held=True),
    "share without unnamed files": Scenario(both(), without_unnamed_files(share(9))),
    "send": Scenario(puts("t", 1, 2), send(9)),
    "send in a spare": Scenario(puts("t", 1, 2, rows=MAPPED), send(9, MAPPED)),
    "read": Scenario(puts("t", 1, 2), read),
}


@pytest.fixture(scope="module")
def place():
    if why := stepping.why_not():
        pytest.skip(why)
    with stepping.one_processor(), Place("256m") as place:
        store = cn.Store(place.folder / "warm")  # what is imported at the first use is not a step of a put
        put("t", 1)(store)
        read(store)
        share(1)(store)
        store.check()
        shutil.rmtree(store.path)
        yield place


@pytest.fixture
def store(place):
    store = cn.Store(place.folder / "store")
    store.path.mkdir()
    yield store
    shutil.rmtree(store.path)


def versions(store):
    """The seed of each named version, by name and version, after verifying every value in all readings."""
    result = {}
    for entry in entries(store.path):
        if entry.endswith(".arrow"):
            name, _, version = entry.removesuffix(".arrow").partition("@")
            if version and not os.path.exists(store.path / f"{name}.arrow"):
                with pytest.raises(cn.NotFoundError):  # a killed delete has left it
                    store.open(name, version=int(version))
                continue
            with store.open(name, version=int(version) if version else None) as snap:
                attrs = payload.verify_pandas(snap.to_pandas())
                assert payload.verify_arrow(snap.to_arrow()) == payload.verify_head(snap) == attrs
                result[name, snap.version] = attrs["seed"]
    return result


def newest(result):
    """Every name's newest version."""
    return dict(sorted(result))


def holds(store, before, after, held):
    """Check what must hold after any crash, whether the store is used as it is or cleaned first; returns the versions."""
    versions_now = versions(store)
    assert newest(versions_now) in (newest(before), newest(after))
    assert versions_now.items() <= (before | after).items()
    assert store.check() == []
    for snap, attrs in held:
        assert payload.verify_pandas(snap.to_pandas()) == attrs
        snap.close()
    store.gc()
    assert {entry for entry in entries(store.path) if entry.startswith(".")} == set()
    version = newest(versions_now).get("t", 0)
    put("t", 77)(store)
    assert {name: was for name, was in versions(store).items() if name[0] == "t"} == {("t", version + 1): 77}
    for info in store.ls():
        store.delete(info.name)
    store.gc()
    assert entries(store.path) == []
    return versions_now


def footprint(place):
    """What a crash would leave. The contents of files do not matter: no file that has a name is written to."""
    result = []
    for folder, _, files in os.walk(place.folder):
        for name in files:
            stat = os.lstat(os.path.join(folder, name))
            result.append((folder, name, stat.st_ino, stat.st_nlink, stat.st_size, stat.st_blocks, stat.st_mode))
    return sorted(result), place.taken()


def points(place, action):
    """The numbers of system calls after which an action is to be killed, and the number that it makes in all."""
    result, state = [1], footprint(place)
    with stepping.Stepped(action) as child:
        while child.step():
            now = footprint(place)
            if child.steps > 1 and (now != state or EVERY_CALL):
                result.append(child.steps)
            state = now
        assert child.status == 0
    return result, child.steps


def one_thread(action):
    """Make an action make the same system calls in each run.

    It runs on one processor, because the core starts a thread for each. It gets a new `Store`, which remembers nothing. The
    clock of the memory limits stands still, because they are read again once a second.
    """

    def act(store):
        memory_limits.time = SimpleNamespace(monotonic=lambda: -1.0)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        action(cn.Store(store.path))

    return act


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_after_every_change(place, store, scenario):
    prepare, action, hold = SCENARIOS[scenario]
    prepare(store)
    before = versions(store)
    kills, calls = points(place, lambda: one_thread(action)(store))
    after = versions(store)
    published = []
    for steps in kills:
        shutil.rmtree(store.path)
        store.path.mkdir()
        prepare(store)
        frame = [(snap, snap.to_pandas().attrs) for snap in map(store.open, newest(before) if hold else ())]
        with stepping.Stepped(lambda: one_thread(action)(store)) as child:
            assert child.run(steps)
        try:
            result = holds(store, before, after, frame)
            place.settle()
        except Exception as error:
            error.add_note(f"{scenario!r}, killed before system call {steps} of {calls} (number {child.call})")
            raise
        published.append(newest(result) == newest(after))
    if newest(before) != newest(after):
        # One system call makes the difference: whoever is killed after it has published.
        assert published == sorted(published)
        assert {*published} == {False, True}
