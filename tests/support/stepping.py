"""A child process that its parent runs from one system call to the next.

Between two calls it can be inspected or killed, and any call can be made to fail.

Does not depend on: stores.

A put is some forty system calls, and whatever it does to a store it does in one of them. Stopping before each, in turn, meets every
state that a crash can leave and that another process can see. Calls for memory and threads are passed over: no other process sees
what they do, and how many there are depends on the free memory.
"""

import contextlib
import ctypes
import errno
import gc
import os
import platform
import signal
import struct
import sys
import traceback
import warnings

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long
_TRACEME, _POKEUSER, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 6, 24, 0x4200, 0x420E
# Where the registers of the call's number and of its result stand in the tracee's area (x86-64).
_NUMBER, _RESULT = 15 * 8, 10 * 8
_SYSGOOD, _FORK, _VFORK, _CLONE, _EXITKILL = 1, 2, 4, 8, 1 << 20
_WALL = 0x40000000
_ENTRY = 1
_CALL_STOP = signal.SIGTRAP | 0x80
# mmap, mprotect, munmap, brk, sched_yield, mremap, madvise, futex, rseq, clock_gettime
_PASSED_OVER = {
    "x86_64": {9, 10, 11, 12, 24, 25, 28, 202, 334, 228},
    "aarch64": {222, 226, 215, 214, 124, 216, 233, 98, 293, 113},
}.get(platform.machine(), set())


def _ptrace(request, process, address=0, data=0):
    if _LIBC.ptrace(request, process, address, data) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"ptrace({request:#x}): {os.strerror(number)}")


def why_no_failures():
    """Why system calls cannot be made to fail here; None where they can."""
    if platform.machine() != "x86_64":
        return f"making system calls fail is written for x86-64 only, not for {platform.machine()}"
    return why_not()


def why_not():
    """Why no process can be stepped here; None where one can."""
    try:
        with Stepped(os.getppid) as child:
            child.step()
    except OSError as error:
        return f"processes cannot be traced here: {error}"
    return None


@contextlib.contextmanager
def one_processor():
    """Keep this process and its children on one processor, in a block; each of several test processes has another one.

    Parent and child take turns at each system call. On one processor that takes 60 % of the time, because none has to be woken up.
    """
    before = os.sched_getaffinity(0)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Stepped:
    """A forked child that stops before each system call of a function. A context manager: at its end the child is killed."""

    def __init__(self, function):
        ready, say = os.pipe()
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # Arrow has threads of its own
            self.process = os.fork()
        if self.process == 0:
            _child(function, say)
        os.close(say)
        answer = os.read(ready, 8)
        os.close(ready)
        self.steps = 0
        self.call = -1  # the number of the system call where it stands
        self.arguments = ()
        self.passed_over = _PASSED_OVER
        self.status = None
        self._stopped = []  # (task, signal to go on with)
        self._failing = {}  # errors that calls are to end with, by task
        if answer:
            self._end()
            raise OSError(int(answer), "the child may not be traced")
        _, status = os.waitpid(self.process, _WALL)
        assert os.WIFSTOPPED(status), status
        options = _SYSGOOD | _FORK | _VFORK | _CLONE | _EXITKILL
        _ptrace(_SETOPTIONS, self.process, 0, options)
        self._stopped = [(self.process, 0)]

    def step(self):
        """Go on to the next system call of any of its threads; False where it has ended, and `status` says how."""
        while True:
            while self._stopped:
                task, number = self._stopped.pop()
                with contextlib.suppress(ProcessLookupError):
                    _ptrace(_SYSCALL, task, 0, number)
            try:
                task, status = os.waitpid(-self.process, _WALL)
            except ChildProcessError:
                return False
            if not os.WIFSTOPPED(status):
                if task == self.process:
                    self.status = os.waitstatus_to_exitcode(status)
                continue
            number = os.WSTOPSIG(status)
            if number == _CALL_STOP and self._entering(task):
                self._stopped.append((task, 0))
                self.steps += 1
                return True
            if number == _CALL_STOP and (error := self._failing.pop(task, None)):
                _ptrace(_POKEUSER, task, _RESULT, -error & 0xFFFFFFFFFFFFFFFF)
            # A call's end, a new thread, its first stop: nothing to look at. Signals are handed on.
            self._stopped.append((task, 0 if number in (_CALL_STOP, signal.SIGTRAP, signal.SIGSTOP) else number))

    def fail(self, error, *, made=False):
        """Have the call where the child stands end with an error, without being made; ``made``: it is made all the same."""
        task, _ = self._stopped[-1]
        if not made:
            _ptrace(_POKEUSER, task, _NUMBER, -1 & 0xFFFFFFFFFFFFFFFF)
        self._failing[task] = error

    def _entering(self, task):
        info = ctypes.create_string_buffer(88)
        try:
            _ptrace(_GET_SYSCALL_INFO, task, len(info), ctypes.addressof(info))
        except ProcessLookupError:
            return False
        self.call, *self.arguments = struct.unpack_from("7Q", info, 24)
        return info.raw[0] == _ENTRY and self.call not in self.passed_over

    def run(self, steps):
        """Go on for so many system calls, or to the end; whether it still lives."""
        return all(self.step() for _ in range(steps))

    def finish(self):
        """Let it run to its end; gives the exit status."""
        while self.step():
            pass
        return self.status

    def kill(self):
        """SIGKILL, before the system call where it stands is made; returns when nothing of it is left."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
        self._end()

    def _end(self):
        while True:
            try:
                task, status = os.waitpid(-self.process, _WALL)
                if task == self.process and not os.WIFSTOPPED(status):
                    self.status = os.waitstatus_to_exitcode(status)
            except ChildProcessError:
                return

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


def _child(function, say):
    os.setpgid(0, 0)
    gc.freeze()  # what earlier tests have left is not to be collected in here, with system calls of its own
    if _LIBC.ptrace(_TRACEME, 0, 0, 0) < 0:
        os.write(say, str(ctypes.get_errno() or errno.EPERM).encode())
        os._exit(0)
    os.close(say)
    os.kill(os.getpid(), signal.SIGSTOP)
    status = 1
    try:
        function()
        status = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
