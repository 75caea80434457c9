"""Makes each system call of an operation fail, in turn, and accounts for what is left.

One run is a child process that does one operation. At its n-th system call, and at all later ones if asked for, the kernel's answer is
replaced by an error. The child then reports whether the operation raised, and which descriptors, locks and mappings it has left. What it
did to the store, the parent sees.

Does not depend on: what the operations are, and what must hold of a store.
"""

import contextlib
import dataclasses
import errno
import gc
import os
import pickle
import tempfile
import warnings
from pathlib import Path

from support import stepping

ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.ENOMEM, errno.EINTR)
# Calls that the kernel never fails, or that only tell a process about itself: getpid, gettid, getuid, geteuid, exit, exit_group, clock_*,
# rt_sigaction, rt_sigprocmask, sched_getaffinity, getrandom, set_robust_list, clone, clone3, gettimeofday, sched_setaffinity.
_NOT_FAILED = {39, 186, 102, 107, 104, 108, 60, 231, 229, 13, 14, 15, 204, 318, 273, 56, 435, 96, 203, 110}
_CLOSE, _MMAP, _SENTINEL = 3, 9, 110  # getppid begins and ends the part that is watched
# How many calls fail at most in one run. Python makes an interrupted call again, for ever if need be.
_FAILURES, _INTERRUPTIONS = 500, 20


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of one run. ``error`` is what it raised; ``left`` names what it did not release."""

    calls: int
    failed: tuple[int, ...]
    error: str | None
    text: str
    left: tuple[str, ...]


def run(action, folder, *, fail_at=None, error=errno.EIO, from_then_on=False):
    """Run an action in a child whose system call number ``fail_at`` fails; None: no call fails, and all are counted."""
    with tempfile.TemporaryFile() as report, stepping.Stepped(lambda: _act(action, folder, report.fileno())) as child:
        calls, failed, watched = 0, [], False
        child.passed_over = child.passed_over - {_MMAP}
        most = (_INTERRUPTIONS if error == errno.EINTR else _FAILURES) if from_then_on else 1
        while child.step():
            if child.call == _SENTINEL:
                watched = not watched
            elif watched and child.call not in _NOT_FAILED and not _is_anonymous(child):
                calls += 1
                if fail_at is not None and calls >= fail_at and len(failed) < most:
                    child.fail(error, made=child.call == _CLOSE)  # the kernel closes a descriptor whatever it answers
                    failed.append(child.call)
        report.seek(0)
        text = report.read()
    if not text:
        return Outcome(calls, tuple(failed), "no report", f"the child ended with status {child.status}", ())
    return Outcome(calls, tuple(failed), *pickle.loads(text))


def _is_anonymous(child):
    """Whether a call maps memory and no file: how often that is done depends on the free memory."""
    return child.call == _MMAP and child.arguments[4] & 0xFFFFFFFF == 0xFFFFFFFF


def _act(action, folder, report):
    warnings.simplefilter("ignore")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # with one thread, each run makes the same calls
    before = holdings(folder)
    name, text = None, ""
    os.getppid()
    try:
        action()
        os.getppid()
    except BaseException as error:
        os.getppid()
        name, text = _classes(error), f"{error}"
        error.__traceback__ = None
        del error
    gc.collect()
    left = tuple(sorted(holdings(folder) - before))
    os.write(report, pickle.dumps((name, text, left)))


def _classes(error):
    """The names of an error's classes, the error's own first."""
    return " ".join(kind.__name__ for kind in type(error).__mro__[:-2])


def holdings(folder):
    """The descriptors, mappings and locks that this process has, of files below a folder and elsewhere."""
    result = set()
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            result.add(f"descriptor {fd}: {os.readlink(f'/proc/self/fd/{fd}').removesuffix(' (deleted)')}")
    result = {text for text in result if "/proc/" not in text}
    for line in Path("/proc/self/maps").read_text().splitlines():
        if str(folder) in line:
            result.add(f"mapping {line.split(maxsplit=5)[5]}")
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.replace("-> ", "").split()
        if fields[4] == str(os.getpid()):
            result.add(f"lock {fields[1]} {fields[5]}")
    return result
