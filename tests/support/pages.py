"""Which pages files in memory have."""

import os

import numpy as np

from colonnade import _core

MIB = 1 << 20


def in_huge_pages(path, size):
    """Read a whole file; returns how many of its bytes are mapped as huge pages then."""
    fd = os.open(path, os.O_RDONLY)
    mapping = _core.Mapping(fd, size, True)
    os.close(fd)
    np.frombuffer(mapping, np.uint8)[::4096].sum()
    with open("/proc/self/smaps") as file:
        lines = file.read().split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{mapping.address:x}-"))
    stop = next(i for i in range(start, len(lines)) if lines[i].startswith("VmFlags"))
    counts = [line.split()[1] for line in lines[start:stop] if line.startswith(("FilePmdMapped", "ShmemPmdMapped"))]
    return sum(map(int, counts)) << 10


def gives_huge_pages(folder):
    """Whether the kernel makes huge pages of files in a folder."""
    fd = os.open(folder, os.O_TMPFILE | os.O_RDWR)
    os.ftruncate(fd, 4 * MIB)
    has_some = _core.Mapping.of_draft(fd, 4 * MIB).reserve(fd)
    os.close(fd)
    return has_some
