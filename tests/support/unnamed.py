"""A file system without unnamed files (O_TMPFILE); some have none.

``PROGRAM`` is the same as text, for the beginning of a program.
"""

import errno
import os

from colonnade import _core

PROGRAM = """
import support.unnamed
support.unnamed.refuse()
"""


class _Refusing(_core.Descriptor):
    def __init__(self, path, flags, mode=0, dir_fd=-100):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "")
        super().__init__(path, flags, mode, dir_fd)


def refuse(monkeypatch=None):
    """Let every O_TMPFILE of this process fail: until the test ends, or for good."""
    if monkeypatch is None:
        _core.Descriptor = _Refusing
    else:
        monkeypatch.setattr(_core, "Descriptor", _Refusing)
