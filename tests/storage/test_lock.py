"""The store's lock: no process can block the others with it, no wait is silent or endless, and no thread waits for itself."""

import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

import colonnade as cn
from colonnade.storage import directory
from support.locks import locked_elsewhere

FRAME = pd.DataFrame({"x": [1, 2, 3]})
LARGE = pd.DataFrame({"x": range(400_000)})
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become other users")


def changes(store):
    """Every call that takes the lock."""
    return {
        "put": lambda: store.put("t", FRAME),
        "put of a spare": lambda: store.put("t", LARGE),
        "delete": lambda: store.delete("t"),
        "share": lambda: store.share(FRAME),
        "gc": lambda: store.gc(),  # noqa: PLW0108 -- there is no store when the keys are asked for
        "configure": lambda: store.configure(spares="1GiB"),
    }


CHANGES = list(changes(None))


# -- waiting -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
def test_a_stopped_holder_is_an_error_that_names_it(store, change):
    store.put("t", FRAME).close()
    store._catalog.directory.timeout = 0.2
    with locked_elsewhere(store, stopped=True) as holder:
        began = time.monotonic()
        with pytest.raises(
            cn.LockTimeoutError,
            match=rf"locked for 0\.2 seconds by process {holder.pid} \(python.*\), which is stopped; nothing was changed",
        ) as excinfo:
            changes(store)[change]()
        assert 0.2 <= time.monotonic() - began < 5
        assert isinstance(excinfo.value, TimeoutError)
        assert store.get("t").equals(FRAME), "readers do not wait"
    assert store.put("t", FRAME).version == 2


def test_a_warning_names_the_holder_before_that(store, monkeypatch):
    monkeypatch.setattr(directory, "WARN_AFTER", 0.1)
    store.put("t", FRAME).close()
    with locked_elsewhere(store) as holder:
        killer = threading.Timer(0.6, holder.kill)
        killer.start()
        with pytest.warns(
            RuntimeWarning, match=rf"waiting for the store .*, which is locked by process {holder.pid} \("
        ):
            assert store.put("t", FRAME).version == 2
        killer.join()


def test_a_process_that_ends_waits_for_nobody(store):
    """At exit, shared tables and process groups are released. This must not wait for a lock whose holder is stopped."""
    program = f"""
import os, sys
os.environ["COLONNADE_STORE"] = {str(store.path)!r}
import colonnade as cn, pandas as pd
cn.by_reference.install()
shared = cn.share(pd.DataFrame({{"x": [1]}}))
print("ready", flush=True)
sys.stdin.readline()
"""
    ending = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert ending.stdout.readline() == b"ready\n"
    with locked_elsewhere(store, stopped=True):
        ending.communicate(b"\n", timeout=20)
    assert ending.returncode == 0
    store.gc()


# -- others --------------------------------------------------------------------------------------------------------------


@needs_root
def test_a_group_that_may_read_cannot_lock(folder):
    folder.chmod(0o755)
    store = cn.Store(folder / "s", mode=0o640)
    store.put("t", FRAME).close()
    os.chown(store.path, -1, 4711)
    program = f"""
import fcntl, os, time
os.setgroups([4711]); os.setgid(65534); os.setuid(65534)
fcntl.flock(os.open({str(store.path)!r}, os.O_RDONLY), fcntl.LOCK_EX)
try:
    os.open({str(store.path / ".segments")!r}, os.O_RDONLY)
except PermissionError:
    print("refused", flush=True)
time.sleep(600)
"""
    locker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        assert locker.stdout.readline() == b"refused\n"
        store._catalog.directory.timeout = 2
        assert store.put("t", FRAME).version == 2
        store.delete("t")
    finally:
        locker.kill()
        locker.wait()
        locker.stdout.close()


def test_gc_removes_the_folder_that_is_locked_and_nobody_enters_twice(store):
    """Writers and collectors run at once. Each put gets a version of its own, so no two processes had the lock together."""
    results = []

    def put():
        for _ in range(40):
            store.put("n", FRAME).close()
            results.append(1)

    def collect():
        while len(results) < 120:
            store.gc()

    threads = [threading.Thread(target=put) for _ in range(3)] + [threading.Thread(target=collect) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.open("n").version == 120


# -- one thread ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("inside", ["put", "delete"])
def test_a_handler_that_changes_the_store_its_thread_is_changing(store, monkeypatch, change, inside):
    """A signal arrives while the thread has the lock. Its handler gets an error at once, and the interrupted call goes on."""
    store.put("t", FRAME).close()
    errors = []

    def handle(*_):
        try:
            changes(store)[change]()
        except cn.ReentrantCallError as error:
            errors.append(str(error))

    call = "link" if inside == "put" else "unlink"  # what they do under the lock
    real = getattr(os, call)
    signalled = []

    def signalling(*args, **kwargs):
        if not signalled:
            signalled.append(True)
            signal.raise_signal(signal.SIGUSR1)
        return real(*args, **kwargs)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        monkeypatch.setattr(os, call, signalling)
        store.put("t", FRAME) if inside == "put" else store.delete("t")
    finally:
        signal.signal(signal.SIGUSR1, before)
    monkeypatch.undo()
    assert errors
    assert "by this very thread" in errors[0]
    assert store.exists("t") == (inside == "put")
    assert store.put("t", FRAME).version == (3 if inside == "put" else 1)


def test_a_finalizer_inside_of_a_put(store, monkeypatch):
    store.put("t", FRAME).close()
    errors = []

    class Finalized:
        def __del__(self):
            try:
                store.delete("t")
            except cn.ReentrantCallError:
                errors.append(True)

    real = os.rename

    def rename(*args, **kwargs):
        if not errors:
            Finalized()
        return real(*args, **kwargs)

    monkeypatch.setattr(os, "rename", rename)
    assert store.put("t", FRAME).version == 2
    assert errors == [True]


def test_another_store_may_be_changed_meanwhile(folder, monkeypatch):
    one, other = cn.Store(folder / "one"), cn.Store(folder / "other")
    real = os.rename
    inner = []

    def rename(*args, **kwargs):
        if not inner:
            inner.append(None)
            inner.append(other.put("t", FRAME).version)
        return real(*args, **kwargs)

    monkeypatch.setattr(os, "rename", rename)
    assert one.put("t", FRAME).version == 1
    assert inner == [None, 1]


# -- fairness ------------------------------------------------------------------------------------------------------------

LOOP = """
import sys, time
import pandas as pd
import colonnade as cn

store, name, until = cn.Store(sys.argv[1]), sys.argv[2], time.monotonic() + float(sys.argv[3])
frame = pd.DataFrame({"x": range(int(sys.argv[4]))})
store.put(name, frame).close()
puts, longest, before = 0, 0.0, time.monotonic()
while before < until:
    store.put(name, frame).close()
    now = time.monotonic()
    puts, longest, before = puts + 1, max(longest, now - before), now
print(puts, longest)
"""


@pytest.mark.slow
@pytest.mark.parametrize("rows", [10, 100_000])
def test_no_writer_starves(store, rows):
    """Waiting is polling, so there is no queue. Writers that put as fast as they can must still all make progress."""
    programs = [[sys.executable, "-c", LOOP, str(store.path), f"t{number}", "5", str(rows)] for number in range(3)]
    writers = [subprocess.Popen(program, stdout=subprocess.PIPE, text=True) for program in programs]
    results = [writer.communicate(timeout=60)[0].split() for writer in writers]
    puts, longest = [int(result[0]) for result in results], [float(result[1]) for result in results]
    assert min(puts) >= max(puts) / 10, puts
    assert max(longest) < 5, longest
