"""Spares: segments that no name leads to, whose pages the next put writes again.

Does not depend on: names, versions, what is in a segment.

Fresh memory costs more than the copy into it: the kernel has to find and clear it. So what a put or a delete supersedes
is kept, and a later put writes it again. It must then be certain that nobody can see it. This is why:

1. **Retire.** Under the store's lock the segment gets a name in the folder of spares, and its own name stops leading to
   it: by `rename`, or, if a new version takes the name over, by a link before that `rename`. Nothing else is done.
2. **Claim.** Under the store's lock, for a spare that fits:

   a. Its link count is 1. So step 1 was completed: no name leads to it. (A writer that was killed between the link
      and the rename leaves a spare that is still the newest version. It has two links, and `trim` takes the spare's
      away.)
   b. It is this user's, and its mode becomes 0600: from here on no other user can open it.
   c. The **lease test**: ``fcntl(F_SETLEASE, F_WRLCK)`` succeeds only if no other open file description of the inode
      exists, in any process. A mapping holds one, also after its descriptor is closed. So nobody sees its pages now.
      The lease is dropped at once. (``F_SETSIG`` before it: a process that opens the segment meanwhile makes the kernel
      send the holder a signal, by default SIGIO, which would kill it. SIGURG is ignored.)
   d. It is renamed to a draft, which this writer has locked. The folder is closed to other users, so none of them can
      swap the two names.

3. **Rewrite**, without the store's lock, and publish like any draft: sealed first, named then.

Who could see a page that is being rewritten? Only a process that opened the segment after the lease test, because (c)
excludes everybody before. A reader opens by name, and that name stopped leading to the segment before the lease test (1
before 2c). So such a reader had looked the name up before step 1, and its open was completed after step 2c. Every
reader, which has opened the file and read *nothing* yet, checks that the name still leads to what it opened:

* If it does not, the reader closes the file and starts again.
* If it does, the segment has since been published again under the same name. It is complete, because it was sealed
  before it got its name. And it stays complete, because this reader has it open, and the lease test of any later claim
  comes after the name stopped leading to it. So the reader attaches the newer version, whole. That is why not even the
  size may be read before the check.

Two writers never claim one spare, because claims are made under the lock and end in a rename. A writer that is killed
leaves its draft unlocked, and `trim` or `gc` frees it. A file system without leases keeps no spares. Nor does a file
system that is not memory: there a power failure could leave a name that leads to a mixture of old and new pages, which
no seal would betray. Two things are not promised. A program that opens a segment by its path, and does
not check the path afterwards, may open it at that instant. And the kernel may still hold pages for a transfer
(sendfile, direct I/O) after the file was closed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from typing import NamedTuple

from colonnade import _core
from colonnade.errors import StoreAccessError
from colonnade.storage import folders, in_flight, paths
from colonnade.storage.draft import Draft, TemporaryName
from colonnade.storage.room import total_bytes
from colonnade.storage.segment import MAPPED

# The next put frees a spare that nobody has used for so many seconds.
AGE = 600.0
# Spares take at most this part of the file system, an eighth, unless the store sets another limit.
SHARE = 8
# How many spares are tried: one that somebody still has mapped takes 10 us.
_TRIES = 16
# No folder of spares, or a link in its place, or another user's: then there are none, and none is made either.
_NONE = (FileNotFoundError, NotADirectoryError, PermissionError, StoreAccessError)


class Spare(NamedTuple):
    """A spare's file; ``since`` is when it was retired, in seconds since 1970."""

    name: str
    nbytes: int
    links: int
    since: float

    def fits(self, size: int) -> bool:
        """Whether it is worth being used for so many bytes: most of it, and for most of them."""
        return self.links == 1 and size <= 2 * self.nbytes and self.nbytes <= 2 * size


def default_limit(root: int) -> int:
    """The bytes of spares that a store keeps where nothing is set."""
    return total_bytes(root) // SHARE


def is_possible(root: int) -> bool:
    """Whether segments of this store can be proved unused: there are leases, and the file system is memory."""
    if not _core.in_memory(root):
        return False
    try:
        file = _core.Descriptor(".", os.O_TMPFILE | os.O_RDWR, 0o600, root)
    except OSError:
        return False
    with file as fd:
        return is_unused(fd)


def is_unused(fd: int) -> bool:
    """The lease test: whether nobody else has this file open or mapped. Also False where there are no leases."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    return True


def is_worth_keeping(status: os.stat_result, limit: int) -> bool:
    """Whether a superseded segment becomes a spare; not while it is in flight under another name too."""
    return (
        status.st_size >= MAPPED
        and status.st_blocks * 512 <= limit
        and status.st_uid == os.geteuid()
        and status.st_nlink == 1
    )


def link(root: int, folder: int, file: str) -> None:
    """Give a segment a spare's name, before a new version takes its own over."""
    with folders.segments(root, make=True) as spares:
        os.link(
            file, paths.random_name(paths.SPARE_PREFIX), src_dir_fd=folder, dst_dir_fd=spares, follow_symlinks=False
        )


def retire(root: int, folder: int, file: str) -> None:
    """Make a spare of a segment, and remove its name."""
    with folders.segments(root, make=True) as spares:
        os.rename(file, paths.random_name(paths.SPARE_PREFIX), src_dir_fd=folder, dst_dir_fd=spares)


def _listed(folder: int, names: list[str] | None = None) -> list[Spare]:
    """The spares, the longest unused first; ``names`` are what is in the folder, if that is known."""
    spares = []
    for name in os.listdir(folder) if names is None else names:
        if name.startswith(paths.SPARE_PREFIX):
            stat = os.stat(name, dir_fd=folder, follow_symlinks=False)
            spares.append(Spare(name, stat.st_blocks * 512, stat.st_nlink, stat.st_ctime))
    return sorted(spares, key=lambda spare: spare.since)


def held(root: int) -> int:
    """The bytes of all spares."""
    try:
        with folders.segments(root) as folder:
            return sum(spare.nbytes for spare in _listed(folder))
    except _NONE:
        return 0


def claim(root: int, size: int, mode: int) -> Draft | None:
    """Take a spare that fits ``size`` bytes and that nobody sees, as a draft; None where there is none."""
    try:
        with folders.segments(root) as folder:
            fitting = [spare for spare in _listed(folder) if spare.fits(size)]
            # First the spare that has the most of the bytes already; of equal ones, the one with the fewest to free.
            fitting.sort(key=lambda spare: (-min(spare.nbytes, size), spare.nbytes))
            for spare in fitting[:_TRIES]:
                draft = _claim(folder, spare, mode)
                if draft is not None:
                    return draft
    except _NONE:
        pass
    return None


def _claim(folder: int, spare: Spare, mode: int) -> Draft | None:
    descriptor = _core.Descriptor(spare.name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
    fd = descriptor.fileno()
    status = os.fstat(fd)
    if status.st_nlink != 1 or status.st_uid != os.geteuid():
        return None
    os.fchmod(fd, 0o600)
    _core.release_collapsing(status.st_dev, status.st_ino)
    if not is_unused(fd) or not descriptor.try_lock():
        return None
    name = paths.random_name(paths.DRAFT_PREFIX)
    os.rename(spare.name, name, src_dir_fd=folder, dst_dir_fd=folder)
    return Draft(descriptor, TemporaryName(_core.Descriptor.duplicate(folder), name), mode, used=True)


def trim(root: int, limit: int) -> int:
    """Free what killed writers left, and the longest unused spares above the limits in bytes and age.

    Returns the bytes that were freed. What somebody still has mapped is free once it is not.
    """
    nbytes = 0
    try:
        with folders.segments(root) as folder:
            names = sorted(os.listdir(folder))
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # a writer gives its own draft up without the lock
                    if in_flight.is_cleaned(name):
                        nbytes += in_flight.remove_if_abandoned(folder, name) or 0
            spares = _listed(folder, names)
            total = sum(spare.nbytes for spare in spares)
            oldest = time.time() - AGE
            for spare in spares:
                if spare.links > 1:  # a name leads to it, or it has two spare's names
                    os.unlink(spare.name, dir_fd=folder)
                elif total > limit or spare.since < oldest:
                    nbytes += _free(folder, spare.name)
                else:
                    continue
                total -= spare.nbytes
    except _NONE:
        pass
    return nbytes


def _free(folder: int, name: str) -> int:
    nbytes = os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
    os.unlink(name, dir_fd=folder)
    return nbytes
