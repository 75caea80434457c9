"""Kill a fetch before its system calls: ``python -m crash.fetch_calls --points 12 --seed 1``, in ``tests``.

Three processes take part: the one that serves, the one that fetches, and one that waits for it. Each in turn is traced, and
killed before one of the system calls that it makes in a fetch. Then nothing may be there but a whole copy or none, and the
next process fetches the table. ``--points 0`` takes every call.

The process that fetches and the one that serves are also stopped before a call, for longer than a silent peer is waited
for, and go on. A fetch that was stopped must succeed; another host must not wait for it for ever. ``--points 0`` takes a
few calls here, because each takes ten seconds.

It is a program of its own, because each process is forked, and gRPC works in a forked child only if its parent never used it.
"""

import argparse
import contextlib
import fcntl
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import colonnade as cn
from colonnade import _fetch, _serve  # noqa: F401 -- imported before the steps are counted
from colonnade.storage import paths
from support import stepping

TOKEN = "a-token-for-tests-only"  # noqa: S105
ROWS = 50_000
# No signal shows where a child's part begins, so steps count from the first of these calls on.
_KILL = 62
# Calls of a process that waits, until it only polls.
_WAITING = 40
# Seconds for which a process is stopped, which is longer than others wait for a silent peer; and at how many calls.
_STOPPED, _STOPS = 9.0, 12


def begin():
    """Tell the tracing process that the part to be tested begins."""
    os.kill(os.getpid(), 0)


def frame():
    return pd.DataFrame({"x": np.arange(ROWS), "y": np.arange(ROWS) / 7})


def fetch(store, url):
    """Fetch the table, as a receiver does, and check that it is whole."""
    with cn.Store(store).open(url) as snapshot:
        pd.testing.assert_frame_equal(snapshot.to_pandas(), frame())


def forked(function, *arguments):
    """Start a process that calls a function; its exit status says whether it raised: 3 for an error of Colonnade."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            function(*arguments)
            status = 0
        except cn.ColonnadeError as error:
            status = 3
            sys.stderr.write(f"{error}\n")
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
        finally:
            sys.stderr.flush()
            os._exit(status)
    return process


def status_of(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Server:
    """A forked process that serves a store, traced or not. A context manager."""

    def __init__(self, store, *, traced=False):
        come, say = os.pipe()

        def act():
            server = cn.Store(store).serve(token=TOKEN)
            os.write(say, f"{server.address}/t\n".encode())
            begin()
            server.wait()

        if traced:
            self.child = stepping.Stepped(act)
            reach(self.child, "its part")
        else:
            self.child, self._process = None, forked(act)
        os.close(say)
        with os.fdopen(come) as lines:
            self.url = lines.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child is not None:
            self.child.kill()
        else:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)


def reach(child, what):
    """Let a traced process run until its part begins."""
    while child.call != _KILL or child.arguments[1] != 0:
        assert child.step(), f"it ended with status {child.status} before {what}"


def fetched_by(store, url):
    """The program of a traced receiver. It has used a connection before, so that gRPC's threads exist."""

    def act():
        with contextlib.suppress(cn.NotFoundError):
            cn.Store(store).open(f"{url}-none")
        begin()
        fetch(store, url)

    return act


def files(store):
    folder = store / paths.SEGMENTS
    return sorted(os.listdir(folder)) if folder.exists() else []


def nothing_half(store, url, *, serving=True):
    """Check that there is a whole copy or none, and nothing else that `gc` would not remove."""
    left = [name for name in files(store) if not name.startswith(("copy-", "fetch-", "spare-"))]
    assert left == [], left
    assert cn.Store(store).check() == []
    if serving:
        assert status_of(forked(fetch, store, url)) == 0, "the next fetch failed"
        # Killed between naming the copy and removing its lock's file, which is empty: a gc removes it.
        left = [name for name in files(store) if not name.startswith(("copy-", "spare-"))]
        assert [os.stat(store / paths.SEGMENTS / name).st_size for name in left] in ([], [0]), left
    cn.Store(store).gc()
    assert files(store) == [], files(store)


def chosen(calls, points, generator):
    """The calls before which to kill: all of them, or a sample."""
    if points == 0 or calls <= points:
        return range(1, calls + 1)
    return sorted({1, calls, *generator.sample(range(1, calls + 1), points)})


def kill_fetchers(origin, store, points, generator):
    """Kill the process that fetches: what it had received is freed with it."""
    with Server(origin) as server:
        with stepping.Stepped(fetched_by(store, server.url)) as child:
            reach(child, "it fetched")
            first, changes, names = child.steps, [], files(store)
            while child.step():
                if names != (names := files(store)):
                    changes.append(child.steps - first)
            assert child.status == 0, child.status
            calls = child.steps - first
        nothing_half(store, server.url)
        for number in sorted({*chosen(calls, points, generator), *changes}):
            with stepping.Stepped(fetched_by(store, server.url)) as child:
                reach(child, "it fetched")
                child.run(number)  # threads take turns as they like: it may have ended before
            with about(f"the fetcher was killed before call {number} of about {calls}"):
                nothing_half(store, server.url)
    return calls


def kill_servers(origin, store, points, generator):
    """Kill the process that serves: the receiver reports it or has the whole table, and fetches from the next server."""
    calls, numbers = 0, [10**9]
    while numbers:
        number = numbers.pop()
        with Server(origin, traced=True) as server:
            first, receiver = server.child.steps, forked(fetch, store, server.url)
            status = run_until(server.child, number, receiver)
            if status is None:
                server.child.kill()
                began = time.monotonic()
                status = status_of(receiver)
                assert time.monotonic() - began < 15
        with about(f"the server was killed before call {number} of about {calls}"):
            assert status in (0, 3), status
            nothing_half(store, server.url, serving=False)
        if not calls:
            calls = server.child.steps - first
            numbers = list(chosen(calls, points, generator))
    with Server(origin) as server:
        nothing_half(store, server.url)
    return calls


def run_until(child, steps, process):
    """Let a traced process make so many calls; returns the status of the other process if that one ends first."""
    for _ in range(steps):
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        try:
            alive = child.step()
        except TimeoutError:  # it makes no calls: perhaps the other one has ended
            alive = True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert alive, child.status
        pid, status = os.waitpid(process, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
    return None


def kill_waiters(origin, store, points, generator):
    """Stop and then kill a process that waits for a fetch of another one: that fetch must not be disturbed."""
    with Server(origin) as server:
        fetch_lock = lock_of(store, server.url)
        for number in chosen(_WAITING, points, generator):
            with fetch_lock() as release, stepping.Stepped(fetched_by(store, server.url)) as child:
                reach(child, "it waited")
                child.run(number)
                release()
                # It stands before a call. Unless it has just taken the lock itself, others go on.
                if not holds_lock(store):
                    assert status_of(forked(fetch, store, server.url)) == 0
            with about(f"the waiter was killed before call {number}"):
                nothing_half(store, server.url)
    return _WAITING


def stop_fetchers(origin, store, points, generator):
    """Stop the process that fetches, for a while: another host fetches meanwhile, and then it goes on."""
    with Server(origin) as server:
        with stepping.Stepped(fetched_by(store, server.url)) as child:
            reach(child, "it fetched")
            first = child.steps
            while child.step():
                pass
            calls = child.steps - first
        cn.Store(store).gc()
        for number in chosen(calls, points or _STOPS, generator):
            with about(f"the fetcher was stopped before call {number} of about {calls}"):
                with stepping.Stepped(fetched_by(store, server.url)) as child:
                    reach(child, "it fetched")
                    child.run(number)
                    began = time.monotonic()
                    other = store.with_name("other")
                    assert status_of(forked(fetch, other, server.url)) == 0
                    assert time.monotonic() - began < 15
                    shutil.rmtree(other)
                    time.sleep(max(0.0, began + _STOPPED - time.monotonic()))
                    while child.step():
                        pass
                    assert child.status == 0, child.status
                nothing_half(store, server.url)
    return calls


def stop_servers(origin, store, points, generator):
    """Stop the process that serves: the receiver reports it or has the whole table; later it serves on."""
    with Server(origin, traced=True) as server:
        first, receiver = server.child.steps, forked(fetch, store, server.url)
        assert run_until(server.child, 10**9, receiver) == 0
        calls = server.child.steps - first
        for number in chosen(calls, points or _STOPS, generator):
            cn.Store(store).gc()
            with about(f"the server was stopped before call {number} of about {calls}"):
                receiver = forked(fetch, store, server.url)
                status = run_until(server.child, number, receiver)
                if status is None:
                    began = time.monotonic()
                    status = status_of(receiver)
                    assert time.monotonic() - began < 15
                assert status in (0, 3), status
                receiver = forked(fetch, store, server.url)
                assert run_until(server.child, 10**9, receiver) == 0
                nothing_half(store, server.url, serving=False)
    return calls


def lock_of(store, url):
    """Take the lock of a table's fetch, as a process that fetches it does."""
    assert status_of(forked(fetch, store, url)) == 0
    identity = next(name for name in files(store) if name.startswith("copy-")).split("-")[1]
    cn.Store(store).gc()

    @contextlib.contextmanager
    def lock():
        path = store / paths.SEGMENTS / paths.fetch_name(int(identity, 16))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        descriptors = [fd]

        def release():
            while descriptors:
                os.close(descriptors.pop())

        try:
            yield release
        finally:
            release()

    return lock


def holds_lock(store):
    """Whether a process has the lock of a fetch."""
    for name in files(store):
        if name.startswith("fetch-"):
            fd = os.open(store / paths.SEGMENTS / name, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(fd)
    return False


@contextlib.contextmanager
def about(what):
    try:
        yield
    except BaseException as error:
        error.add_note(what)
        raise


ROLES = {
    "fetcher": kill_fetchers,
    "server": kill_servers,
    "waiter": kill_waiters,
    "stopped-fetcher": stop_fetchers,
    "stopped-server": stop_servers,
}


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--points", type=int, default=12, help="before how many calls of each; 0: before every one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=["fetcher", "server", "waiter"])
    options = parser.parse_args()
    if why := stepping.why_no_failures():  # the number of a call is x86-64's
        sys.exit(why)
    os.environ["COLONNADE_TOKEN"] = TOKEN

    def expire(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, expire)
    folder = Path(tempfile.mkdtemp(prefix="colonnade-calls-", dir="/dev/shm"))
    try:
        origin = folder / "origin"
        cn.Store(origin).put("t", frame()).close()
        for role in options.roles:
            began = time.monotonic()
            calls = ROLES[role](origin, folder / role, options.points, random.Random(options.seed))
            sys.stdout.write(f"{role}: {calls} calls, {time.monotonic() - began:.1f} s\n")
            sys.stdout.flush()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
