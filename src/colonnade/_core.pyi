"""Moves bytes. Python decides which."""

from typing import Annotated

import numpy
from numpy.typing import NDArray


class Mapping:
    """
    A file's bytes, mapped; gives them by the buffer protocol and keeps no descriptor.

    ``writable``: private to this mapping, copied page by page on the first store.
    """

    def __init__(self, fd: int, size: int, writable: bool) -> None: ...

    def __len__(self) -> int: ...

    @property
    def address(self) -> int: ...

    @property
    def writable(self) -> bool: ...

def write_file(jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 15), order='C', device='cpu', writable=False)], pieces: Annotated[NDArray[numpy.int64], dict(shape=(None, 6), order='C', device='cpu', writable=False)], null_counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], fd: int, size: int, threads: int = 0) -> None:
    """
    Run a plan into a file of ``size`` bytes, with pwrite; ``null_counts`` (int64, one a job) is added to.

    Raises OSError with the errno of the first write that failed.
    """

def write_memory(jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 15), order='C', device='cpu', writable=False)], pieces: Annotated[NDArray[numpy.int64], dict(shape=(None, 6), order='C', device='cpu', writable=False)], null_counts: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], memory: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> None:
    """Run a plan into ``memory`` (uint8)."""

def available_threads() -> int:
    """The processors this process may use."""
