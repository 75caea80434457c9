"""A real control group with a memory limit, for a process of its own.

Does not depend on: what the process does.
"""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_PLACES = {
    # where groups are made: the file of the limit, by version
    Path("/sys/fs/cgroup/memory"): "memory.limit_in_bytes",
    Path("/sys/fs/cgroup"): "memory.max",
}


@contextlib.contextmanager
def limited(nbytes):
    """Make a group with a memory limit and return its folder. Skips the test if that is not possible."""
    for place, file in _PLACES.items():
        group = place / f"colonnade-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(str(nbytes))
        except OSError:
            group.rmdir()
            continue
        break
    else:
        pytest.skip("no control group with a memory limit can be made here")
    try:
        yield group
    finally:
        with contextlib.suppress(OSError):
            (group / "memory.force_empty").write_text("0")
        group.rmdir()


def run(group, program, *arguments, timeout=100):
    """Run a Python program as a member of a group; returns the finished process."""
    enter = f"import os, sys; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
    command = [sys.executable, "-c", enter + program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)


def was_killed(process):
    """Whether the kernel ended a process because its group reached the limit."""
    return process.returncode == -signal.SIGKILL
