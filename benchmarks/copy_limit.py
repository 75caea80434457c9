"""How fast this machine copies bytes, whoever asks: the limit that a conversion is held against.

Does not depend on: Colonnade, conversions.

The program is compiled when it is first needed, into build/, under a name made of its source and the command: so what
is loaded is what stands in the file.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".cpp")
BUILD = SOURCE.parents[1] / "build"
FLAGS = ("-std=c++20", "-O3", "-shared", "-fPIC", "-pthread")
WAYS = ("memcpy", "streaming", "streaming, prefetched")  # in the order of the program's own table


def compiled() -> Path:
    """The compiled program; made where it is missing."""
    command = [*shlex.split(os.environ.get("CXX", "c++")), *FLAGS]
    name = hashlib.sha256(SOURCE.read_bytes() + repr(command).encode()).hexdigest()[:16]
    library = BUILD / f"copy_limit-{name}.so"
    if not library.exists():
        BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            fresh = Path(folder) / library.name
            subprocess.run([*command, "-o", fresh, SOURCE], check=True)
            fresh.replace(library)  # whole or not at all, for whoever looks for it meanwhile
    return library


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compiled()))
    size, memory = ctypes.c_size_t, ctypes.c_void_p
    for name, result, arguments in (
        ("copy_ways", ctypes.c_int, []),
        ("warm_memory", memory, [size]),
        ("free_memory", None, [memory]),
        ("copy_seconds", ctypes.c_double, [ctypes.c_int, memory, memory, size, ctypes.c_int]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class CopyLimit:
    """Copies of so many bytes by so many threads, between two buffers whose pages are there already."""

    def __init__(self, nbytes: int, threads: int) -> None:
        self.nbytes, self._threads, self._library = nbytes, threads, _load()
        self._buffers = [self._library.warm_memory(nbytes) for _ in range(2)]
        if not all(self._buffers):
            raise MemoryError(f"no memory to copy {nbytes} bytes")
        self.times: dict[str, list[float]] = {way: [] for way in WAYS[: self._library.copy_ways()]}

    def measure(self, turn: int) -> None:
        """Copy once in each way; who is first changes from turn to turn."""
        ways = list(enumerate(self.times))
        start = turn % len(ways)
        for number, way in ways[start:] + ways[:start]:
            took = self._library.copy_seconds(number, *self._buffers, self.nbytes, self._threads)
            self.times[way].append(took)

    def close(self) -> None:
        """Give the buffers back."""
        while self._buffers:
            self._library.free_memory(self._buffers.pop())
