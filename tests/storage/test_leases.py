"""Leases: they prove that nobody has a spare open; without them nothing is kept."""

import fcntl
import os
import subprocess
import sys

import colonnade as cn
from colonnade import _core
from colonnade.storage import spares as reuse
from support.spares import frame, spares


def test_the_lease_test(folder):
    """The kernel grants the lease only if no other process has the file open or mapped."""
    path = folder / "file"
    path.write_bytes(bytes(8192))

    def is_unused():
        fd = os.open(path, os.O_RDWR)
        try:
            return reuse.is_unused(fd)
        finally:
            os.close(fd)

    assert is_unused()
    fd = os.open(path, os.O_RDONLY)
    assert not is_unused()
    for writable in (False, True):
        mapping = _core.Mapping(fd, 8192, writable)
        os.close(fd)
        assert not is_unused()
        del mapping
        assert is_unused()
        fd = os.open(path, os.O_RDONLY)
    os.close(fd)
    assert fcntl.fcntl(os.open(path, os.O_RDONLY), fcntl.F_GETLEASE) == fcntl.F_UNLCK


def test_a_lease_that_is_broken_does_not_kill_its_holder(store):
    """The holder of a broken lease gets SIGURG, not SIGIO, which would end it."""
    program = f"""
import os, sys, threading, fcntl
sys.path.insert(0, {os.path.dirname(os.path.dirname(__file__))!r})
from colonnade.storage import spares
path = {str(store.path.parent / "file")!r}
open(path, "wb").write(bytes(4096))
done = threading.Event()
def opener():
    while not done.is_set():
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except BlockingIOError:
            print("met", flush=True)
            done.set()
for _ in range(2):
    threading.Thread(target=opener).start()
while not done.is_set():
    fd = os.open(path, os.O_RDWR)
    spares.is_unused(fd)
    os.close(fd)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (process.returncode, process.stdout[:3]) == (0, "met"), process.stderr


def test_nothing_is_kept_where_leases_are_not_to_be_had(folder, monkeypatch):
    real = fcntl.fcntl

    def refuse(fd, command, argument=0):
        if command == fcntl.F_SETLEASE:
            raise OSError(22, "leases are off")
        return real(fd, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    store = cn.Store(folder / "s")
    for value in range(3):
        store.put("t", frame(value)).close()
    assert spares(store) == []
    assert (store.get("t")["x"] == 2).all()


def test_spares_of_a_store_that_lost_its_leases_are_left_alone(store, monkeypatch):
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    (spare,) = spares(store)
    monkeypatch.setattr(reuse, "is_unused", lambda fd: False)
    store.put("t", frame(3)).close()
    assert spare in spares(store)
