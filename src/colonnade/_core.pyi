"""Moves bytes. Python decides which."""

from collections.abc import Sequence
from typing import Annotated, Any, overload

import numpy
from numpy.typing import NDArray


class Mapping:
    """
    A file's bytes, mapped; gives them by the buffer protocol and keeps no descriptor.

    ``writable``: private to this mapping, copied page by page on the first store.
    """

    def __init__(self, fd: int, size: int, writable: bool) -> None: ...

    @staticmethod
    def of_draft(fd: int, size: int) -> Mapping:
        """
        Map a file whose pages are there: what is stored is stored in the file.
        """

    def reserve(self, fd: int) -> bool:
        """
        Have all pages of the file there, as huge pages, whatever they hold; False if the kernel does not give them.
        """

    def collapse(self) -> bool:
        """Put what is there into huge pages; False if the kernel does not."""

    def detach(self, fd: int) -> None:
        """
        Let further stores be this mapping's alone; views of it stay where they are.
        """

    def abandon(self) -> None:
        """
        Give the file's memory back at once; views of it stay where they are, and hold zeros.
        """

    def __len__(self) -> int: ...

    @property
    def address(self) -> int: ...

    @property
    def writable(self) -> bool: ...

class Descriptor:
    """
    The one owner of a file descriptor: closed when the object is dropped, and never twice.

    A context manager that gives the number and closes at its end.
    """

    def __init__(self, path: object, flags: int, mode: int = 0, dir_fd: int = -100) -> None:
        """Open a path as ``os.open`` does."""

    @staticmethod
    def duplicate(number: int) -> Descriptor:
        """A second descriptor of the same open file."""

    @staticmethod
    def inotify() -> Descriptor:
        """A new inotify instance, which does not block."""

    def fileno(self) -> int:
        """The number; -1 once it is closed."""

    def close(self) -> None:
        """
        Drop its lock, close what `keep` gave it, and then itself; twice is once.
        """

    def keep(self, other: Descriptor) -> None:
        """Take over another descriptor and its lock, until this one is closed."""

    def try_lock(self, *, shared: bool = False) -> bool:
        """
        Lock the file (flock) without waiting; False where another open file has it locked.
        """

    def unlock(self) -> None:
        """Drop its lock, if it has one."""

    def locked_by_this_thread(self) -> bool:
        """Whether the calling thread has this very file locked by any Descriptor."""

    def __enter__(self) -> int: ...

    def __exit__(self, *args: object) -> None: ...

class Buffer:
    """
    Memory of the pool, by the buffer protocol; it goes back when the last view of it is gone.
    """

    def __init__(self, size: int) -> None: ...

    def __len__(self) -> int: ...

    @property
    def address(self) -> int: ...

class ImportedArrays:
    """
    Arrow arrays from C streams, as pieces of a plan; holds them until it goes.
    """

    def __init__(self) -> None: ...

    def add_columns(self, streams: Sequence[object], threads: int = 0) -> None:
        """
        One column of each stream; ``threads`` read them, so they must not share what is not safe to share.
        """

    def add_table(self, stream: object, most_batches: int) -> bool:
        """False, and no column, if the stream has more than ``most_batches``."""

    def pieces(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None, 8))]:
        """Shape (pieces, 8): those of the first column first. Strides are 0."""

    def piece_counts(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]:
        """How many pieces each column has."""

    def nulls(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]:
        """How many nulls each column has."""

def write_file(jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 16), order='C', device='cpu', writable=False)], pieces: Annotated[NDArray[numpy.int64], dict(shape=(None, 8), order='C', device='cpu', writable=False)], found: Annotated[NDArray[numpy.int64], dict(shape=(None, 2), order='C', device='cpu')], fd: int, size: int, threads: int = 0) -> None:
    """
    Run a plan into a file of ``size`` bytes, with pwrite; ``found`` (int64, nulls and overflows of each job) is added to.

    Raises OSError with the errno of the first write that failed.
    """

def write_memory(jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 16), order='C', device='cpu', writable=False)], pieces: Annotated[NDArray[numpy.int64], dict(shape=(None, 8), order='C', device='cpu', writable=False)], found: Annotated[NDArray[numpy.int64], dict(shape=(None, 2), order='C', device='cpu')], outputs: Sequence[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')]], threads: int = 0, stream_from: int = 8388608) -> None:
    """
    Run a plan whose places are addresses inside of ``outputs`` (uint8 arrays); outputs of ``stream_from`` bytes in all, or more, are written past the caches.
    """

def in_memory(fd: int) -> bool:
    """Whether a file is in a file system that is memory (tmpfs)."""

def types_of(array: object) -> list[Any]:
    """
    The distinct types of an array's objects, in the order in which they occur.
    """

@overload
def share_objects(out: object, objects: list[Any], codes: Annotated[NDArray[numpy.int8], dict(shape=(None,), order='C', device='cpu', writable=False)], first: int = 0, threads: int = 0) -> None: ...

@overload
def share_objects(out: object, objects: list[Any], codes: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], first: int = 0, threads: int = 0) -> None:
    """
    out[i] = objects[codes[i] - first], and the last of ``objects`` for a code outside of the others.
    """

def range_of(numbers: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], null: int) -> tuple[int, int]:
    """(least, greatest) of int32 numbers, without those that stand for null."""

def build_key_index(columns: Sequence[tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]]], rows: int, seed: int, bits: int, slots: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')], next: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> tuple[int, int] | None:
    """
    Index the rows by their key: (rows left out for a null, rows that are not the first of their key), or None where there are too few slots.

    ``columns``: (values as uint8, bytes of a value or 0 for text, int64 offsets of text, validity bytes) each; the last two may be empty.
    """

def find_keys(slots: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], next: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], bits: int, seed: int, columns: Sequence[tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]]], rows: int, keys: Sequence[tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]]], out: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> bool:
    """
    The first row of each key, -1 where there is none, into ``out``; False if the index is damaged.
    """

def count_key_rows(slots: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], next: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], bits: int, rows: int, first: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')]) -> bool:
    """
    How many rows each key has whose first row is given; False if the index is damaged.
    """

def list_key_rows(slots: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], next: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], bits: int, rows: int, first: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')]) -> bool:
    """
    The rows of each key whose first row is given, in order; False if the index is damaged.
    """

def available_threads() -> int:
    """The processors this process may use."""

def kernels() -> str:
    """The name of the kernels that run."""

def use_kernels(name: str) -> bool:
    """
    Run the kernels of this name ('portable', 'avx2'; '': the fastest); False if there are none here.
    """

def touch(buffers: Sequence[Buffer], threads: int = 0) -> None:
    """Fault in the pages of buffers that nobody touched yet."""

def pool_usage() -> tuple[int, int, int, int]:
    """(idle bytes, idle buffers, live bytes, live buffers)."""

def set_pool_limit(bytes: int) -> None:
    """Let so many bytes stay idle; what is above is freed."""

def trim_pool() -> int:
    """Free all idle buffers; returns their bytes."""
