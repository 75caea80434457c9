"""Hosts of `support.network` in tests: what they have received, and what their processes say.

Does not depend on: engines.
"""

import contextlib
import os
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
