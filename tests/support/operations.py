"""A table of operations on stores: what the store has before, what is done, and what it has afterwards.

Does not depend on: how an operation is killed, interrupted or made to fail.
"""

import contextlib
import functools
import itertools
import pickle
from typing import NamedTuple

import colonnade as cn
from colonnade.format.stripes import STRIPE
from growing import rows
from support import payload

# Rows: 2 kB, which are written; 2.5 MB, which are mapped, and whose memory is used again.
SMALL, MAPPED = 50, 60_000

make = functools.cache(payload.make)


class Operation(NamedTuple):
    """``prepare`` is done before; ``act`` is what is tested; ``durable``: the store waits for the disk."""

    prepare: object
    act: object
    durable: bool = False


def put(name, seed, rows=SMALL, **options):
    return lambda store: store.put(name, make(seed, rows), **options).close()


def both(*actions):
    return lambda store: [action(store) for action in actions]


def puts(name, *seeds, rows=SMALL, **options):
    return both(*(put(name, seed, rows, **options) for seed in seeds))


def read(store):
    with store.open("t") as snap:
        payload.verify_pandas(snap.to_pandas())
        payload.verify_arrow(snap.to_arrow())


def share(store):
    with store.share(make(9, MAPPED)) as shared:
        pickle.loads(pickle.dumps(shared)).close()


def allocate(store):
    with store.allocate("t", {"x": "float64"}, rows=SMALL) as draft:
        draft["x"][:] = 1.0


def litter(store):
    """What killed writers leave: a draft whose writer is gone."""
    (store.path / ".segments").mkdir(exist_ok=True)
    (store.path / ".segments/draft-00112233").write_bytes(bytes(10_000))


def grown(*stops, retain=None):
    """A growing table with batches up to these rows."""

    def act(store):
        with store.appender("g", like=rows.make(0, 1), retain=retain) as log:
            for start, stop in itertools.pairwise((0, *stops)):
                log.append(rows.make(start, stop))

    return act


def appends(start, stop):
    return lambda store: store.append("g", rows.make(start, stop))


def appends_shared(start, stop):
    def act(store):
        with store.appender("g", shared=True) as log:
            log.append(rows.make(start, stop))

    return act


def appends_row(number):
    def act(store):
        with store.appender("g") as log:
            log.row(**rows.make(number, number + 1).iloc[0].to_dict())

    return act


def flushes(store):
    with store.appender("g") as log:
        log.flush()


def follows(store):
    with store.follow("g", start="first", timeout=0) as follow:
        rows.verify_pandas(next(follow).to_pandas())
    rows.verify_pandas(store.latest("g").frame)
    with store.watch("g", timeout=0) as watch, next(watch) as snap:
        rows.verify_arrow(snap.to_arrow())


OPERATIONS = {
    "first put": Operation(both(), put("a/t", 9)),
    "put": Operation(puts("t", 1, 2), put("t", 9)),
    "put that expects a version": Operation(puts("t", 1, 2), put("t", 9, expect_version=2)),
    "put that retains": Operation(puts("t", 1, 2, 3, keep=3), put("t", 9, keep=2)),
    "put into a spare": Operation(puts("t", 1, 2, rows=MAPPED), put("t", 9, MAPPED)),
    "durable put": Operation(puts("a/t", 1), put("a/t", 9), durable=True),
    "put after a crash": Operation(both(put("t", 1), litter), put("t", 9)),
    "delete": Operation(puts("a/t", 1, 2, keep=2), lambda store: store.delete("a/t")),
    "durable delete": Operation(puts("a/t", 1), lambda store: store.delete("a/t"), durable=True),
    "rename": Operation(puts("a/t", 1, 2, keep=2), lambda store: store.rename("a/t", "b/u")),
    "copy": Operation(puts("t", 1, 2, keep=2), lambda store: store.copy("t", "a/u", version=1).close()),
    "copy over a table": Operation(both(put("t", 1), put("u", 2)), lambda store: store.copy("t", "u").close()),
    "durable copy": Operation(puts("t", 1), lambda store: store.copy("t", "a/u").close(), durable=True),
    "allocate": Operation(put("t", 1), allocate),
    "share": Operation(puts("t", 1, 2, rows=MAPPED), share),
    "gc": Operation(both(puts("t", 1, 2, rows=MAPPED), litter), lambda store: store.gc()),
    "configure": Operation(put("t", 1), lambda store: store.configure(capacity="1GiB")),
    "open and read": Operation(puts("t", 1, 2), read),
    "create a growing table": Operation(put("t", 1), lambda store: store.appender("g", like=rows.make(0, 1)).close()),
    "append the first rows": Operation(grown(), appends(0, 5)),
    "append": Operation(grown(20), appends(20, 60)),
    "append a row": Operation(grown(20), appends_row(20)),
    "append, sharing": Operation(grown(20), appends_shared(20, 60)),
    "append into another segment": Operation(
        grown(STRIPE, 2 * STRIPE - 2, retain=8), appends(2 * STRIPE - 2, 2 * STRIPE + 3)
    ),
    "flush": Operation(grown(20), flushes),
    "delete a growing table": Operation(grown(20), lambda store: store.delete("g")),
    "follow, latest and watch": Operation(grown(STRIPE, STRIPE + 7), follows),
    "ls and check": Operation(puts("t", 1, 2), lambda store: (store.ls(), store.check())),
}


def contents(store):
    """Every version that has a name, by name and version; all values of tables that tell are verified. And the settings."""
    result = {}
    if not store.path.exists():
        return result
    for path in sorted(store.path.rglob("*.arrow")):
        name, _, version = path.relative_to(store.path).as_posix().removesuffix(".arrow").partition("@")
        if "/" in version:  # a segment of a growing table
            continue
        with contextlib.suppress(cn.NotFoundError), store.open(name, version=int(version) if version else None) as snap:
            df = snap.to_pandas()
            result[name, snap.version] = payload.verify_pandas(df)["seed"] if "seed" in df.attrs else df.to_dict("list")
    for path in store.path.rglob("*@live"):
        name = path.relative_to(store.path).as_posix().removesuffix("@live")
        with store.open(name) as snap:  # its version is the number of rows; how many are retained may be late
            assert rows.verify_pandas(snap.to_pandas()).stop == snap.version
            result[name, snap.version] = "growing"
    result["settings"] = cn.Store(store.path).settings
    return result
