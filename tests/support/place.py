"""The place of a stress run's store, and what remains there: the bytes in use by the file system's account and by the files'.

Does not depend on: frames, workers.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path


class LeakError(Exception):
    """Memory is in use that belongs to no file."""


class Place:
    """A tmpfs of its own where one may be mounted, else a folder in shared memory; gone at the end. A context manager."""

    def __init__(self, size):
        self.size = size
        self.folder = None
        self.own = False

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="colonnade-stress-", dir="/dev/shm"))
        command = ["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=700", "none", self.folder]
        self.own = subprocess.run(command, capture_output=True, check=False).returncode == 0
        return self

    def __exit__(self, *_):
        if self.own:
            subprocess.run(["umount", "-l", self.folder], check=True)
        shutil.rmtree(self.folder)

    def taken(self):
        """Bytes by the file system's own account, unnamed files included; without a mount, by the files'."""
        if not self.own:
            return self.accounted()
        stats = os.statvfs(self.folder)
        return (stats.f_blocks - stats.f_bfree) * stats.f_frsize

    def accounted(self):
        """Bytes of all files that have a name."""
        blocks = {}
        for folder, _, files in os.walk(self.folder):
            for name in files:
                with contextlib.suppress(FileNotFoundError):
                    result = os.lstat(os.path.join(folder, name))
                    blocks[result.st_ino] = result.st_blocks * 512
        return sum(blocks.values())

    def settle(self, seconds=2.0):
        """Check that the two accounts agree. The kernel may take a moment to free the memory of killed processes.

        Raises
        ------
        LeakError
        """
        until = time.monotonic() + seconds
        while (bytes_taken := self.taken()) != (accounted := self.accounted()):
            if time.monotonic() > until:
                raise LeakError(f"{bytes_taken:,} bytes are taken and the files account for {accounted:,}")
            time.sleep(0.01)


def entries(root):
    """All file names of a store."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir())


def spares(root):
    """The inodes of a store's spares; others put and gc meanwhile, which takes away spares and their empty folder too."""
    result = set()
    with contextlib.suppress(FileNotFoundError), os.scandir(root / ".segments") as entries:
        for entry in entries:
            if entry.name.startswith("spare-"):
                with contextlib.suppress(FileNotFoundError):
                    result.add(entry.stat().st_ino)
    return result


def descriptors():
    return len(os.listdir("/proc/self/fd"))
