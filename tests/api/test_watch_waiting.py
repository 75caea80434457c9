"""`watch`: how it waits and is ended, what it holds, and how tasks wait for it."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

import colonnade as cn
from support.forks import FORKS, wait_for
from support.place import descriptors
from support.watches import NAME, PATIENCE, content, frame, nothing_more

# -- waiting -------------------------------------------------------------------------------------------------------------


def test_a_timeout_says_what_there_is_and_the_watch_goes_on(store):
    watch = store.watch("t", timeout=0.05)
    start = time.monotonic()
    with pytest.raises(cn.WaitTimeoutError, match=r"'t' within 0\.05 seconds; there is no such table. Ask again"):
        next(watch)
    assert 0.05 <= time.monotonic() - start < 2
    store.put("t", frame(1)).close()
    assert content(next(watch)) == 1
    with pytest.raises(TimeoutError, match="it is at version 1"):
        next(watch)
    store.put("t", frame(2)).close()
    assert content(next(watch)) == 2


def test_no_time_at_all_looks_and_does_not_wait(store):
    with store.watch("t", timeout=0) as watch:
        with pytest.raises(cn.WaitTimeoutError):
            next(watch)
        store.put("t", frame(1)).close()
        assert content(next(watch)) == 1


def test_events_of_others_do_not_prolong_the_wait(store):
    store.put("t", frame(1)).close()
    with store.watch("t", timeout=0.3) as watch:
        next(watch).close()
        stop = threading.Event()

        def disturb():
            while not stop.is_set():
                store.put("u", frame(1)).close()

        thread = threading.Thread(target=disturb)
        thread.start()
        try:
            start = time.monotonic()
            with pytest.raises(cn.WaitTimeoutError):
                next(watch)
            assert time.monotonic() - start < 5
        finally:
            stop.set()
            thread.join()


def test_closing_from_another_thread_ends_the_loop(store):
    watch = store.watch("t")
    threading.Timer(0.1, watch.close).start()
    assert list(watch) == []
    watch.close()
    assert list(watch) == []
    assert "closed" in repr(watch)


def test_closing_at_any_moment_ends_the_loop(store):
    store.put("t", frame(1)).close()
    for number in range(100):
        watch = store.watch("t")
        thread = threading.Thread(target=lambda watch=watch: [snap.close() for snap in watch])
        thread.start()
        time.sleep(number * 2e-5)
        watch.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_two_threads_do_not_wait_for_one_watch(store):
    watch = store.watch("t")
    thread = threading.Thread(target=list, args=[watch])
    thread.start()
    while not watch._waiting:
        time.sleep(0.001)
    with pytest.raises(RuntimeError, match="waited for already"):
        next(watch)
    watch.close()
    thread.join()


PROGRAM = """
import signal, sys, colonnade as cn
watch = cn.Store(sys.argv[1]).watch("t")
if sys.argv[2] == "close":
    signal.signal(signal.SIGINT, lambda *_: watch.close())
print("ready", flush=True)
for snapshot in watch:
    print(snapshot.version, flush=True)
print("ended", flush=True)
"""


@pytest.mark.parametrize(("how", "says"), [("close", "ended"), ("default", "KeyboardInterrupt")])
def test_interrupted_by_a_signal(store, how, says):
    store.put("t", frame(1)).close()
    command = [sys.executable, "-c", PROGRAM, store.path, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "1\n"]
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
        assert out.splitlines()[-1] == says


def test_interrupted_in_the_middle_of_a_look(store, watch):
    """The interrupt comes after the events were read; the version must not be lost."""
    store.put(NAME, frame(1)).close()
    next(watch).close()
    store.put(NAME, frame(2)).close()
    attach = watch._attach

    def interrupted():
        raise KeyboardInterrupt  # a signal would be handled a few instructions later, in 3.13 after the return

    watch._attach = interrupted
    with pytest.raises(KeyboardInterrupt):
        next(watch)
    watch._attach = attach
    assert content(next(watch)) == 2


@FORKS
def test_a_forked_child_has_its_own_events(store, producer, watch):
    """With a shared descriptor the first reader would get all events. A child that closes its watch must not end that of its parent."""
    producer.do(store, "put", NAME, 1)
    next(watch).close()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if content(next(watch)) == 2 else 2
            watch.close()
        finally:
            os._exit(status)
    time.sleep(0.05)
    producer.do(store, "put", NAME, 2)
    assert content(next(watch)) == 2
    assert wait_for(child) == 0
    producer.start(store, "put", NAME, 3)
    assert content(next(watch)) == 3
    producer.done()


@FORKS
def test_a_forked_child_that_closes_does_not_end_its_parents_watch(store, producer, watch):
    producer.do(store, "put", NAME, 1)
    next(watch).close()
    child = os.fork()
    if child == 0:
        watch.close()
        os._exit(0)
    assert wait_for(child) == 0
    producer.start(store, "put", NAME, 2)
    assert content(next(watch)) == 2
    producer.done()
    assert nothing_more(store, watch)


# -- what it holds -------------------------------------------------------------------------------------------------------


def test_it_holds_no_snapshot(store, watch):
    """A superseded segment becomes a spare, which it could not if the watch had it open."""
    for n in range(3):
        store.put(NAME, pd.DataFrame({"n": range(n, n + 300_000)})).close()
        assert content(next(watch)) == n
    assert sorted(segment.role for segment in store.usage().segments) == ["newest", "spare"]
    assert not any(segment.holders for segment in store.usage().segments)


def test_many_watches_hold_one_descriptor_each(store):
    before = descriptors()
    watches = [store.watch(f"t/{n % 5}/{n}", timeout=PATIENCE) for n in range(20)]
    shared = 1  # the inotify instance of the process
    assert descriptors() - before == len(watches) + shared
    for n, _ in enumerate(watches):
        store.put(f"t/{n % 5}/{n}", frame(n)).close()
    assert [content(next(watch)) for watch in watches] == list(range(20))
    assert descriptors() - before == len(watches) + shared
    for watch in watches:
        watch.close()
    assert descriptors() == before


def test_five_hundred_watches_are_one_inotify_instance(store, producer):
    """A user may have 128 instances (fs.inotify.max_user_instances)."""
    watches = [store.watch(f"t/{n % 7}/{n}", timeout=PATIENCE) for n in range(500)]
    instances = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_is_open(fd)]
    assert instances.count("anon_inode:inotify") == 1
    for n in (0, 3, 499):
        producer.do(store, "put", f"t/{n % 7}/{n}", n)
        assert content(next(watches[n])) == n
        producer.start(store, "put", f"t/{n % 7}/{n}", n + 1)
        assert content(next(watches[n])) == n + 1
        producer.done()
    store.put("t/1/1", frame(1)).close()
    silent = [watch for n, watch in enumerate(watches) if n not in (0, 1, 3, 499)]
    for watch in silent[:3]:
        watch._timeout = 0
        with pytest.raises(cn.WaitTimeoutError):
            next(watch)
    assert content(next(watches[1])) == 1


def fd_is_open(fd):
    return os.path.lexists(f"/proc/self/fd/{fd}") and "/fd" not in os.readlink(f"/proc/self/fd/{fd}")


def test_watches_of_many_threads_and_of_an_event_loop_share_it(store, producer):
    """A thread that reads the events of another watch wakes that watch."""
    names = [f"a/{n}" for n in range(8)]
    versions = {}

    def wait(name):
        with store.watch(name, timeout=PATIENCE) as watch:
            while versions.get(name) != 2:
                versions[name] = content(next(watch))

    async def wait_in_a_loop(name):
        async with asyncio.timeout(PATIENCE):
            async for snapshot in store.watch(name):
                versions[name] = content(snapshot)
                if versions[name] == 2:
                    return

    async def all_of_the_loop():
        await asyncio.gather(*map(wait_in_a_loop, names[4:]))

    threads = [threading.Thread(target=wait, args=[name]) for name in names[:4]]
    threads.append(threading.Thread(target=asyncio.run, args=[all_of_the_loop()]))
    for thread in threads:
        thread.start()
    for value in range(3):
        for name in names:
            producer.do(store, "put", name, value, after=0.02)
    for thread in threads:
        thread.join()
    assert versions == dict.fromkeys(names, 2)


def test_no_descriptors_left():
    program = """
import resource, sys, colonnade as cn
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
watches = []
try:
    while True:
        watches.append(cn.watch("t"))
except cn.StoreAccessError as error:
    print(len(watches), error)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(process.stdout.split()[0]) > 10
    assert "as many descriptors as it may" in process.stdout
    assert "max_user_instances" in process.stdout


def test_no_watches_left():
    """Runs in a user namespace, so that its limit affects no other process."""
    program = """
import ctypes, os, pathlib, sys
user = os.getuid()
try:
    assert ctypes.CDLL(None).unshare(0x10000000) == 0  # a process without threads alone may do that
    pathlib.Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    pathlib.Path("/proc/sys/user/max_inotify_watches").write_text("1")
except (OSError, AssertionError):
    sys.exit("cannot be limited here")
import colonnade as cn
try:
    next(cn.Store(sys.argv[1]).watch("a/b/t", timeout=0))
except cn.StoreAccessError as error:
    print(error)
"""
    process = subprocess.run([sys.executable, "-c", program, "/dev/shm"], capture_output=True, text=True, check=False)
    if "cannot be limited here" in process.stderr:
        pytest.skip("user namespaces cannot be made here")
    assert "watches as many folders as it may" in process.stdout, process
    assert "max_user_watches" in process.stdout


# -- in an event loop ----------------------------------------------------------------------------------------------------


def test_async_for(store, producer):
    async def run():
        versions, ticks = [], 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        task = asyncio.create_task(tick())
        producer.start(store, "put", NAME, 1, after=0.1)
        async for snap in store.watch(NAME, timeout=PATIENCE):
            versions.append(content(snap))
            producer.done()
            if len(versions) == 3:
                break
            producer.start(store, "put", NAME, len(versions) + 1)
        task.cancel()
        return versions, ticks

    versions, ticks = asyncio.run(run())
    assert versions == [1, 2, 3]
    assert ticks > 10  # the loop ran other tasks while it waited


def test_async_timeout_deletion_and_close(store, producer):
    async def run():
        watch = store.watch(NAME, timeout=0.05)
        with pytest.raises(cn.WaitTimeoutError, match=r"within 0\.05 seconds"):
            await anext(watch)
        store.put(NAME, frame(1)).close()
        assert content(await anext(watch)) == 1
        store.delete(NAME)
        with pytest.raises(cn.NotFoundError):
            await anext(watch)
        patient = store.watch(NAME)
        task = asyncio.create_task(anext(patient))
        await asyncio.sleep(0.02)
        with pytest.raises(RuntimeError, match="waited for already"):
            await anext(patient)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.put(NAME, frame(2)).close()
        assert content(await anext(patient)) == 2
        threading.Timer(0.05, patient.close).start()
        assert [snap async for snap in patient] == []

    asyncio.run(run())
