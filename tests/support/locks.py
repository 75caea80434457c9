"""A process that has a store's lock, for tests of processes that wait for it."""

import contextlib
import signal
import subprocess
import sys

HOLDER = """
import sys, time
import colonnade as cn
with cn.Store(sys.argv[1])._catalog.directory.lock():
    print("locked", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def locked_elsewhere(store, *, stopped=False):
    """Let another process take the lock; returns that process."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(store.path)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"locked\n"
        if stopped:
            process.send_signal(signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
