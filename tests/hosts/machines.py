"""Hosts of `support.network` in tests: what they have received, and what their processes say.

Does not depend on: engines.
"""

import contextlib
import os
import signal
import subprocess
import time

STORE = "/dev/shm/colonnade-test"  # of each host


def finish(process):
    """What a process printed, in lines of words."""
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return [line.split() for line in out.splitlines()]


def link(machine):
    """The bytes that a host's link has received and sent."""
    with open(f"/proc/{machine.pid}/net/dev") as file:
        words = next(line.split() for line in file if line.strip().startswith("eth0:"))
    return int(words[1]), int(words[9])


@contextlib.contextmanager
def arrived(machine, count):
    """Wait at the end of the block until a host has received so many bytes since its beginning."""
    expected = link(machine)[0] + count
    yield
    end = time.monotonic() + 30
    while (received := link(machine)[0]) < expected:
        assert time.monotonic() < end, f"{expected - received} bytes did not arrive"
        time.sleep(0.01)


def files(machine):
    """What is in the folder of segments of a host's store, each name up to its number."""
    folder = f"/proc/{machine.pid}/root{STORE}/.segments"
    return sorted(name.split("-")[0] for name in os.listdir(folder)) if os.path.isdir(folder) else []


@contextlib.contextmanager
def started(machine, *command, **variables):
    """A program that runs on a host until the block ends, in a process group of its own."""
    process = subprocess.Popen(
        [*machine.prefix, *command],
        env={**os.environ, "COLONNADE_STORE": STORE, **variables},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process):
    """Kill a program that was started, and its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
