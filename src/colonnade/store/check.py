"""What is there against what should be there.

Knows: the files of a store. Must not know: columns; whoever calls hands in how a snapshot's inside is looked at.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from colonnade.errors import ColonnadeError
from colonnade.store import paths
from colonnade.store.segment import Segment


class Problem(NamedTuple):
    """One thing that is not as it should be, and what to do about it."""

    path: Path
    what: str
    remedy: str


def check(root: Path, look_inside: Callable[[paths.Entry], None]) -> Iterator[Problem]:
    """Look at every file below a store, and at the directory itself.

    ``look_inside`` raises a ColonnadeError for a snapshot that does not hold together.
    """
    if not root.exists():
        return
    if not root.is_dir():
        yield Problem(root, "the store is a file", "name another directory")
        return
    yield from _ownership(root, root.stat())
    for path in paths.walk(root):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue  # superseded since it was listed
        entry = paths.parse(root, path)
        if not stat.S_ISREG(found.st_mode):
            yield Problem(path, "neither a file nor a folder", "remove it")
        elif path.parent == root and (path.name == paths.PUBLISH or path.name.startswith(paths.DRAFT_PREFIX)):
            # Not a problem: a put that is under way has one, and a killed one's is removed by gc.
            continue
        elif entry is None:
            yield Problem(path, "not a file of this store", "remove it")
        else:
            yield from _ownership(path, found)
            yield from _inside(root, entry, look_inside)


def _ownership(path: Path, found: os.stat_result) -> Iterator[Problem]:
    if found.st_uid != os.geteuid():
        yield Problem(path, f"owned by user {found.st_uid}", "remove it, unless that user is trusted")
    elif found.st_mode & stat.S_IWOTH:
        yield Problem(path, "writable by every user", f"chmod o-w {path}")


def _inside(root: Path, entry: paths.Entry, look_inside: Callable[[paths.Entry], None]) -> Iterator[Problem]:
    try:
        segment = Segment.open(entry.path)
    except FileNotFoundError:
        return  # superseded since it was listed
    except OSError as error:
        yield Problem(entry.path, f"cannot be opened: {os.strerror(error.errno or 0)}", "see who owns it")
        return
    try:
        version = segment.seal().version
        if entry.version not in (None, version):
            yield Problem(entry.path, f"holds version {version}", f"colonnade rm {entry.name}, and put it again")
        if entry.version is not None and not paths.current(root, entry.name).exists():
            yield Problem(entry.path, "a retained version of a table that is gone", "colonnade gc")
        look_inside(entry)
    except ColonnadeError as error:
        if segment.is_at(entry.path):
            yield Problem(entry.path, str(error), f"colonnade rm {entry.name}, and put it again")
    finally:
        segment.close()
