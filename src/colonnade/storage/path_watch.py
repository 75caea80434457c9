"""Watches the folders that lead to a name, and says when the name may lead elsewhere.

Does not depend on: what a version is, who waits.

A put ends with a ``rename`` in the folder of the name, and a delete with one out of it, or an ``unlink``. So do the
making and the end of a growing table, which is a folder there. That folder
is made by the first put and removed with its last table, and so are those above it; the store itself may come and go.
So each folder from the one above the store (or the lowest that there is) down to the name's is watched.

Nothing is missed, because a folder is watched first and looked into then: what happened before is found by looking, and
what happens after is an event. The same holds for the caller: `news` first, then look at the name.

A folder that is removed while a process has it open (a shell whose working directory it is) reports its own end only
when that process ends; the folder above reports it at once. That is why the folders above stay watched, for deletions
alone: a put in another folder wakes no watch, and one under another name of the same folder costs its watchers some
microseconds.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import defaultdict
from pathlib import Path

from colonnade import _core
from colonnade.errors import StoreAccessError
from colonnade.storage import folders, paths
from colonnade.storage.directory import Directory
from colonnade.storage.inotify import (
    CREATE,
    DELETE,
    DELETE_SELF,
    IGNORED,
    IS_FOLDER,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    OVERFLOW,
    UNMOUNT,
    Inotify,
)
from colonnade.storage.os_errors import explained

_ITSELF = DELETE_SELF | MOVE_SELF
# Events of the name's own folder: puts and deletions. Events of a folder above it: the next folder comes, or goes.
_TABLE = MOVED_TO | MOVED_FROM | DELETE | _ITSELF
_NEXT_COMES = CREATE | MOVED_TO | DELETE | _ITSELF
_NEXT_GOES = DELETE | _ITSELF
# The folders are not what they were, or events were lost.
_LOST = IS_FOLDER | _ITSELF | IGNORED | UNMOUNT | OVERFLOW

_GONE = (FileNotFoundError, NotADirectoryError)
_LONGEST_POLL = 86_400.0  # seconds; the kernel counts milliseconds in 32 bits


class PathWatch:
    """The watched path of one name. It has a descriptor, closed when the object is collected."""

    def __init__(self, directory: Directory, name: str) -> None:
        where = paths.locate(name)
        self._directory = directory
        self._above = len(directory.root.parts)
        self._parts = (*directory.root.parts, *where.folders, where.current)
        self._names = {where.current, where.live}
        self._inotify = Inotify()
        self._names_by_watch: dict[int, set[str]] = {}  # the names that matter in each watched folder
        self._has_lost_news = True

    def fileno(self) -> int:
        """The descriptor, which is readable when there may be news."""
        return self._inotify.fileno()

    def wait(self, seconds: float | None) -> bool:
        """Wait until there may be news; False if there were none in ``seconds``, or in a day."""
        return self._inotify.wait(min(seconds, _LONGEST_POLL) if seconds is not None else None)

    def interrupt(self) -> None:
        """Wake a thread that waits, from any thread. If it goes on, it watches its folders again."""
        for watch in list(self._names_by_watch):
            self._inotify.remove(watch)

    def news(self) -> bool:
        """Whether the name may lead elsewhere since the last time."""
        with explained(self._directory.root, "watching it"):
            read = self._inotify.read()
        events = [event for event in read if self._concerns(event.watch, event.mask, event.name)]
        self._has_lost_news |= any(event.mask & _LOST for event in events)
        if self._has_lost_news:  # also where the last time was interrupted half-way
            with explained(self._directory.root, "watching it"):
                self._follow()
            return True
        return bool(events)

    def _concerns(self, watch: int, mask: int, name: str) -> bool:
        if mask & OVERFLOW:
            return True
        names = self._names_by_watch.get(watch)  # None if the folder is no longer watched
        return names is not None and (not name or name in names)

    def _follow(self) -> None:
        """Watch what there is of the path now, and nothing else."""
        names_by_watch: defaultdict[int, set[str]] = defaultdict(set)
        while not names_by_watch:
            with contextlib.suppress(*_GONE):  # the folder was removed meanwhile; the one above it is watched
                self._watch(self._first(), names_by_watch)
        for stale in self._names_by_watch.keys() - names_by_watch.keys():
            self._inotify.remove(stale)
        self._names_by_watch = dict(names_by_watch)
        self._has_lost_news = False

    def _first(self) -> int:
        """How many parts lead to the folder above the store, or to the lowest above it that is there."""
        depth = self._above - 1
        while depth > 1 and not os.path.isdir(Path(*self._parts[:depth])):
            depth -= 1
        return max(depth, 1)

    def _watch(self, depth: int, names_by_watch: defaultdict[int, set[str]]) -> None:
        """Watch the folder that the first ``depth`` parts lead to, and those below it as far as they are there."""
        try:
            with self._opened(depth) as folder:
                last = depth + 1 == len(self._parts)
                names = names_by_watch[self._inotify.add(folder, _TABLE if last else _NEXT_COMES)]
                names.update(self._names if last else {self._parts[depth]})
                if not last:
                    with contextlib.suppress(*_GONE):
                        self._watch(depth + 1, names_by_watch)
                        self._inotify.add(folder, _NEXT_GOES)
        except PermissionError as error:
            self._go_on_below(depth, names_by_watch, error)

    def _go_on_below(self, depth: int, names_by_watch: defaultdict[int, set[str]], error: PermissionError) -> None:
        """Where a folder above the store may not be listed, the store itself is enough, if it is there."""
        if depth < self._above:
            with contextlib.suppress(*_GONE):
                self._watch(self._above, names_by_watch)
                return
        raise StoreAccessError(
            errno.EACCES, f"{Path(*self._parts[:depth])} cannot be watched: this user may not read it"
        ) from error

    def _opened(self, depth: int) -> _core.Descriptor:
        if depth < self._above:
            return folders.opened(Path(*self._parts[:depth]))
        with self._directory.opened() as root:
            return folders.below(root, self._parts[self._above : depth], None)
