"""How many descriptors this process has, and a limit of them.

Does not depend on: stores.
"""

import contextlib
import os
import resource


def descriptors():
    """The numbers of the descriptors that are open."""
    return set(os.listdir("/proc/self/fd"))


@contextlib.contextmanager
def only_free(count):
    """Leave exactly so many descriptors free."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    before = descriptors()
    fds = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, before)) + 60, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                fds.append(os.open("/dev/null", os.O_RDONLY))
        for _ in range(count):
            os.close(fds.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in fds:
            os.close(fd)
