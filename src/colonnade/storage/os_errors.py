"""Turns errors of the kernel into errors that a user can act on.

Does not depend on: which operation failed, what a file contains.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from colonnade.errors import ColonnadeError, StoreAccessError, StoreFullError

# Errors that say nothing of the file that was to be opened.
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    errno.EMFILE: "this process has as many files open as it may: close some, or raise ulimit -n",
    errno.ENFILE: "the machine has as many files open as it may: raise fs.file-max (sysctl)",
    errno.EFBIG: "this process may not write files of that size: raise ulimit -f",
    errno.ENOMEM: "there is no memory for it, or the process has too many mappings: drop frames that are not needed, "
    "or raise vm.max_map_count (sysctl)",
}


def explain_os_error(error: OSError, root: Path, doing: str) -> ColonnadeError:
    """Make the error that a user can act on from an error of the kernel."""
    if error.errno in _FULL:
        return StoreFullError(
            errno.ENOSPC,
            f"no room in {root} for {doing}; nothing was stored. "
            "Delete tables, run gc, or use a store on a larger file system",
        )
    remedy = _REMEDIES.get(error.errno or 0)
    return StoreAccessError(
        error.errno, f"{doing} failed in {root}: {os.strerror(error.errno or 0)}" + (f"; {remedy}" if remedy else "")
    )


def explain_use(error: OSError, doing: str) -> StoreAccessError:
    """Make an error that says why a file that is open already could not be used."""
    number = error.errno or 0
    remedy = _REMEDIES.get(number)
    return StoreAccessError(number, f"{doing} failed: {os.strerror(number)}" + (f"; {remedy}" if remedy else ""))


class explained:  # noqa: N801 -- a block, as contextlib.suppress is one
    """Raise errors of the kernel as errors that a user can act on.

    It is a class, because an error that a generator of contextlib raises is part of a reference cycle in Python 3.12.
    What the frames below own, such as descriptors, would be closed by the garbage collector only.

    Parameters
    ----------
    root : Path
        The store's directory.
    doing : str
        What was tried, as the subject of a sentence: ``"a table of 1,024 bytes"``.

    Raises
    ------
    StoreFullError, StoreAccessError
    """

    def __init__(self, root: Path, doing: str) -> None:
        self._root = root
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, ColonnadeError):
            raise explain_os_error(error, self._root, self._doing) from error
