"""Moves bytes. Python decides which."""

from collections.abc import Sequence
from typing import Annotated, Any, overload

import numpy
from numpy.typing import NDArray


def enumerators() -> dict[str, list[str]]:
    """
    The names of each enumeration of a plan, in the order of their numbers from 0.
    """

def job_fields() -> list[str]:
    """The fields of a job, in the order of its table."""

def piece_fields() -> list[str]:
    """The fields of a piece, in the order of its table."""

def result_fields() -> list[str]:
    """The fields of a result, in the order of its table."""

def write_file(jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 16), order='C', device='cpu', writable=False)], pieces: Annotated[NDArray[numpy.int64], dict(shape=(None, 8), order='C', device='cpu', writable=False)], fd: int, size: int, threads: int = 0) -> Annotated[NDArray[numpy.int64], dict(shape=(None, 2))]:
    """
    Run a plan into a file of ``size`` bytes, with pwrite; returns the result of each job.

    Raises ValueError if the plan is inconsistent, OSError with the errno of a write that failed, and MemoryError.
    """

def write_memory(jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 16), order='C', device='cpu', writable=False)], pieces: Annotated[NDArray[numpy.int64], dict(shape=(None, 8), order='C', device='cpu', writable=False)], outputs: Sequence[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')]], threads: int = 0, stream_from: int = 8388608) -> Annotated[NDArray[numpy.int64], dict(shape=(None, 2))]:
    """
    Run a plan whose places are addresses inside of ``outputs`` (uint8 arrays); returns the result of each job.

    Outputs of ``stream_from`` bytes in all, or more, are written past the caches.
    Raises ValueError if the plan is inconsistent, and MemoryError.
    """

class Mapping:
    """
    The bytes of a file, mapped; gives them by the buffer protocol and keeps no descriptor.

    ``writable``: private to this mapping, copied page by page on the first store. Threads may share a mapping and its views; ``detach`` must not run while another thread stores through one.
    """

    def __init__(self, fd: int, size: int, writable: bool) -> None: ...

    @staticmethod
    def of_draft(fd: int, size: int) -> Mapping:
        """
        Map a file whose pages are there: what is stored is stored in the file.
        """

    def reserve(self, fd: int) -> bool:
        """
        Allocate all pages of the file, as huge pages with any contents; False if the kernel does not.
        """

    def reserve_part(self, fd: int, start: int, stop: int) -> bool:
        """
        The same of a range, which starts at a huge page and ends at one or with the file.
        """

    def collapse(self) -> bool:
        """Put the file's pages into huge pages; False if the kernel does not."""

    def populate(self) -> bool:
        """
        Enter the file's pages into the page table at once, a draft's for writing; False if the kernel does not.
        """

    def detach(self, fd: int) -> None:
        """
        Make further stores private to this mapping; views of it stay where they are.
        """

    def abandon(self) -> None:
        """
        Release the file's memory at once; views of it stay where they are, and contain zeros.
        """

    def __len__(self) -> int: ...

    @property
    def address(self) -> int: ...

    @property
    def writable(self) -> bool: ...

class Buffer:
    """
    Memory of the pool, by the buffer protocol; it returns to the pool with the last view of it.

    Threads may share a buffer; as with any memory, a thread must not read what another one writes.
    """

    def __init__(self, size: int) -> None: ...

    def __len__(self) -> int: ...

    @property
    def address(self) -> int: ...

def touch(buffers: Sequence[Buffer], threads: int = 0) -> None:
    """Fault in the pages of buffers that were not touched yet."""

def pool_usage() -> tuple[int, int, int, int]:
    """(idle bytes, idle buffers, live bytes, live buffers)."""

def set_pool_limit(bytes: int) -> None:
    """Set how many bytes may stay idle; the rest is freed."""

def trim_pool() -> int:
    """Free all idle buffers; returns their bytes."""

def page_size() -> int:
    """The bytes of a page of memory."""

def huge_pages_at_hand() -> bool:
    """
    Whether the kernel makes huge pages quickly; the answer is remembered for some seconds.
    """

def collapse_later(fd: int) -> None:
    """
    Put a file into huge pages on a thread of the core; not if it is not in memory, or where they are scarce.
    """

def release_collapsing(device: int, inode: int) -> None:
    """
    Close a file that waits for huge pages, after the step that it may be in.
    """

def resume_collapsing() -> None:
    """Continue after a fork, in the parent: the thread ends before it."""

def collapsing() -> int:
    """
    The number of files that wait for huge pages, or are being put into them.
    """

def in_memory(fd: int) -> bool:
    """Whether a file is in a file system that is memory (tmpfs)."""

def end_of_csv_rows(text: object, delimiter: int) -> int:
    """Where the last row of CSV that ends in a buffer ends: 0 if none does."""

def hash_bytes(data: object, threads: int = 0) -> int:
    """
    Hash the memory of a contiguous buffer, of any number of axes, as fast as it can be read.

    XXH3 of 64 bits for up to 1 MiB, and XXH3 of the hashes of 1 MiB each for more: ``src/core/hash.h``. The same for
    any number of threads. Raises TypeError if ``data`` gives no buffer, BufferError if it is not contiguous (NumPy's
    arrays: ValueError).
    """

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
        """
        Whether the calling thread has this very file locked by any Descriptor.
        """

    def __enter__(self) -> int: ...

    def __exit__(self, *args: object) -> None: ...

class ImportedArrays:
    """
    Arrow arrays from C streams, as pieces of a plan; keeps them alive.

    Not to be used by two threads at once. Streams are consumed also where an error is raised: ValueError if the arrays contradict each other or their rows, RuntimeError if a stream fails.
    """

    def __init__(self) -> None: ...

    def add_columns(self, streams: Sequence[object], rows: int, threads: int = 0) -> None:
        """
        Add one column of each stream. ``threads`` read them, so they must not share what is not safe to share.
        """

    def add_table(self, stream: object, chosen: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], columns: int, rows: int, most_batches: int) -> bool:
        """
        Add the ``chosen`` ones of the columns of a stream of batches; False, and no column, if there are more than ``most_batches``.
        """

    def release(self) -> None:
        """
        Release the arrays and keep the columns; from now on something else must keep their memory alive.
        """

    def has_nulls(self) -> bytes:
        """A byte for each column, 1 where it has nulls."""

    def count_pieces(self, column: int) -> int:
        """
        How many pieces a column has: its chunks, but those that follow each other may be one.
        """

    def renumber(self, column: int, maps: Sequence[tuple[int, int]]) -> None:
        """
        Let int32 numbers replace a column's indices: (address, count) for each piece. The caller keeps them alive.
        """

def move_columns(arrays: ImportedArrays, jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 16), order='C', device='cpu', writable=False)], outputs: Sequence[object], rows: int, threads: int = 0, stream_from: int = 8388608) -> list[int]:
    """
    Run jobs (shape (jobs, 16)) of imported columns into writable arrays; returns the numbers of the jobs that overflowed.

    The ``first_piece`` of a job is the number of its column, and its places are ``output << 32 | row``, or -1.
    """

def move_arrays(sources: Sequence[tuple[object, object]], jobs: Annotated[NDArray[numpy.int64], dict(shape=(None, 16), order='C', device='cpu', writable=False)], outputs: Sequence[object], rows: int, threads: int = 0) -> list[tuple[int, bool]]:
    """
    Run jobs (shape (jobs, 16)) of arrays into writable arrays; returns the nulls of each job, and whether it overflowed.

    ``sources`` are an array of shape (rows,), and a contiguous mask of bytes or None. Places are those of `move_columns`.
    """

@overload
def share_objects(out: object, objects: list[Any], codes: Annotated[NDArray[numpy.int8], dict(shape=(None,), order='C', device='cpu', writable=False)], first: int = 0, threads: int = 0) -> None: ...

@overload
def share_objects(out: object, objects: list[Any], codes: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], first: int = 0, threads: int = 0) -> None:
    """
    out[i] = objects[codes[i] - first], and the last of ``objects`` for a code outside of the others.
    """

def types_of(array: object) -> list[Any]:
    """
    The distinct types of an array's objects, in the order in which they occur.
    """

def nests_deeper(object: object | None, levels: int) -> bool:
    """
    Whether an object has lists, tuples and dicts in each other to more than so many levels.
    """

def leaf_types(object: object) -> list[Any]:
    """
    The distinct types of what lists, tuples and dicts hold in each other, and that is none of these. They must not be circular.
    """

def types_inside(objects: list[Any], missing: list[Any], names: list[Any]) -> list[Any]:
    """
    The distinct types of the items of lists or tuples, in one list; with names, of the values of dicts, in one list for each name. Nothing where containers are mixed, or dicts have other keys.
    """

def range_of(numbers: Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], null: int) -> tuple[int, int]:
    """(least, greatest) of int32 numbers, without those that mean null."""

def publish_word(memory: object, at: int, value: int) -> None:
    """
    Store an aligned word with release order, and wake all who wait for its low half.
    """

def wake_word(memory: object, at: int) -> None:
    """Wake all who wait for the low half of a word."""

def store_word(memory: object, at: int, value: int) -> None:
    """Store an aligned word with release order."""

def load_word(memory: object, at: int) -> int:
    """Load an aligned word with acquire order."""

def store_half_word(memory: object, at: int, value: int) -> None:
    """Store four aligned bytes with release order."""

class HeadWords:
    """The words of a growing table's head, for its producer."""

    def __init__(self, memory: object, committed: int, state: int, deleted: int) -> None: ...

    @property
    def is_deleted(self) -> bool:
        """Whether the table is deleted."""

    def load(self, at: int) -> int:
        """Load an aligned word with acquire order."""

    def store(self, at: int, value: int) -> None:
        """Store an aligned word with release order."""

    def publish(self, rows: int) -> None:
        """
        Store how many rows are published, with release order, and wake all who wait for it.
        """

    @property
    def published(self) -> int:
        """
        How many rows this producer has published, or has seen when it began its turn.
        """

    @published.setter
    def published(self, arg: int, /) -> None: ...

    def stop_direct(self) -> None:
        """Let no `DirectAppender` write until one is started."""

class GrowingBatch:
    """Rows for a growing table: the memory of each column."""

    def __init__(self, columns: Sequence[tuple[object, object, object, object, object, int]], rows: int) -> None:
        """
        Each column is (values, missing, offsets, text, valid bits, first bit), None for what it has not.
        """

    def __len__(self) -> int: ...

class GrowingRows:
    """Writes rows into a segment of a growing table; one thread at a time."""

    def __init__(self, fd: int, mapping: Mapping, columns: Sequence[tuple[int, int, int, int, int, int, int, int]], capacity: int, text_bytes: int, rows: int) -> None:
        """
        Each column is (kind, width, values, validity, pandas, mask, offsets, text); -1 for no place.
        """

    @property
    def rows(self) -> int:
        """How many rows were written, published or not."""

    def counts(self) -> tuple[list[int], list[int]]:
        """The nulls of each column, and where its text ends."""

    def provide(self, start: int, stop: int) -> None:
        """Allocate the pages of some bytes; OSError if the file system is full."""

    def descending_row(self, batch: GrowingBatch, index: int, is_signed: bool, carried: object | None) -> int | None:
        """
        The first row that is less than the one before it in a column; None if they ascend.
        """

    def append(self, batch: GrowingBatch, start: int) -> int:
        """
        Write rows of a batch from ``start`` on, as many as fit; returns how many. OSError if the file system is full.
        """

class PlainColumns:
    """The columns of batches that are arrays of the very dtypes."""

    def __init__(self, names: Sequence[object], formats: Sequence[object], dtypes: Sequence[object]) -> None: ...

    def batch(self, data: object | None) -> GrowingBatch:
        """
        A batch of a dict of contiguous arrays of these dtypes; None for anything else.
        """

class RowReader:
    """Reads single rows of plain Python objects."""

    def __init__(self, names: Sequence[object], dtypes: Sequence[object], is_signed: Sequence[bool]) -> None: ...

class DirectAppender:
    """
    Appends rows to one segment that need no conversion, by one call.

    The methods return how many rows are published then. None: there is more to be asked, and nothing is written.
    They raise OSError if the file system is full; nothing is written then either.
    """

    def __init__(self, reader: object, plain: object | None, rows: object, words: object, codes: Sequence[object], index: int | None, is_signed: bool, carried: object | None) -> None: ...

    def start(self) -> None:
        """Let this one write, and no other of the table."""

    @property
    def is_started(self) -> bool:
        """Whether it may write."""

    def row(self, values: object | None) -> int | None:
        """
        Append and publish one row, a dict of plain objects, if it may write. It needs no lock.
        """

    def batch(self, data: object | None) -> int | None:
        """
        Append and publish a dict of plain arrays, if it may write; 0: it would take long. It needs no lock.
        """

    def long_batch(self, data: object | None) -> int | None:
        """
        The same for any number of rows. The caller has the lock, and starts the appender again: it is stopped,
        because other threads run meanwhile.
        """

class MappedPieces:
    """
    Pieces of one file in an `AddressRange`; unmapped when nothing refers to them any more.
    """

class AddressRange:
    """
    Reserved addresses, where pieces of files are mapped next to each other.

    Raises MemoryError where there are not so many addresses.
    """

    def __init__(self, size: int) -> None: ...

    def map(self, fd: int, places: Sequence[tuple[int, int, int]], writable: bool) -> MappedPieces:
        """
        Map pieces of a file, each ``(at, offset, size)``: all of them, or none.

        Read-only pieces are shared with the file, writable ones are private. Raises ValueError for a place that is
        not page-aligned, not inside of the range and the file, or taken; MemoryError where the process has too many
        mappings.
        """

    def __len__(self) -> int: ...

    @property
    def address(self) -> int: ...

class RangeView:
    """
    An address range as a buffer, which keeps some pieces mapped.

    Nothing outside of these pieces may be touched. It is writable if all of them are.
    """

    def __init__(self, range: AddressRange, pieces: Sequence[MappedPieces]) -> None: ...

    def __len__(self) -> int: ...

    @property
    def address(self) -> int: ...

    @property
    def writable(self) -> bool: ...

class SharedWords:
    """
    The first bytes of a file that another process writes to, shared and read-only.
    """

    def __init__(self, fd: int, size: int) -> None: ...

    def load(self, offset: int) -> int:
        """The number of 64 bits at an offset, with acquire order."""

    def __len__(self) -> int: ...

class Bell:
    """Ends the wait of other threads of this process, see `wait_for_words`."""

    def __init__(self) -> None: ...

    def ring(self) -> None:
        """End all waits for it."""

    @property
    def value(self) -> int:
        """How often it was rung, modulo 2 ** 32."""

class Growth:
    """Whether a growing table has grown, for its readers."""

    def __init__(self, words: object, committed: int, first: int, segments: int, state: int, deleted: int) -> None: ...

    def rows(self, first: int, segments: int, end: int) -> int | None:
        """
        How many rows there are; None if more than their number may have changed.

        ``first`` and ``segments`` are what was seen before, ``end`` is the row up to which the last segment has
        room.
        """

    def wait(self, seen: int, first: int, segments: int, end: int, bell: Bell, rung: int, timeout: float) -> int | None:
        """
        As `rows`, once the number of rows is not ``seen``, the bell was rung or ``timeout`` seconds are over.

        None also if the table is deleted. Signal handlers run meanwhile.
        """

def wait_for_words(places: Sequence[tuple[SharedWords, int, int]], bell: Bell | None, rung: int, timeout: float) -> bool:
    """
    Wait until a word of 32 bits differs from what was seen there, or the bell was rung; False after the time-out.

    ``places`` are ``(words, offset, seen)``; ``rung`` is the bell's value that was seen. True does not say which
    word changed, or that one did: look again. Signal handlers run meanwhile.
    """

def build_key_index(columns: Sequence[tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)] | Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]]], rows: int, seed: int, bits: int, slots: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu')], next: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> tuple[int, int] | None:
    """
    Index the rows by their key: (rows left out for a null, rows that are not the first of their key), or None where there are too few slots.

    ``columns``: (values as uint8, bytes of a value or 0 for text, int64 or int32 offsets of text, validity bytes) each; the last two may be empty.
    """

def find_keys(slots: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], next: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], bits: int, seed: int, columns: Sequence[tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)] | Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]]], rows: int, keys: Sequence[tuple[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)] | Annotated[NDArray[numpy.int32], dict(shape=(None,), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]]], out: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> bool:
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

def offsets_of_views(views: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], valid: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], buffers: Sequence[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> int:
    """
    Fill the offsets of text that is in Arrow's view layout; returns the bytes of all text, -1 where a view leads out of its buffers.

    ``valid``: a byte a row, 0 is null; empty for none.
    """

def data_of_views(views: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], valid: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], buffers: Sequence[Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)]], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], data: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> bool:
    """
    Copy the text to where the offsets say, which `offsets_of_views` filled from the same views; False where these are others by now.
    """

def write_views(offsets: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], width: int, data: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], views: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')], threads: int = 0) -> bool:
    """
    Write the views of text with offsets of 4 or 8 bytes; False where an offset leads out of the data, or a text is longer than 2^30 - 1 bytes.
    """

def are_views_of(offsets: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], width: int, data: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], views: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], threads: int = 0) -> bool:
    """Whether views are those that `write_views` writes."""

class WriteWatch:
    """
    Says whether memory was written to; OSError where the kernel cannot watch it.

    It belongs to the process that made it, not to one that is forked.
    """

    def __init__(self) -> None: ...

    def written(self, address: int, size: int) -> bool:
        """
        Whether any of these whole pages was written to since this was last asked; at first they were.
        """

def has_own_pages(address: int, size: int) -> bool:
    """Whether a private mapping of a file has pages that were written to."""

def available_threads() -> int:
    """The number of processors this process may use."""

def kernels() -> str:
    """The name of the kernels in use."""

def use_kernels(name: str) -> bool:
    """
    Use the kernels of this name ('portable', 'avx2'; '': the fastest); False if this processor has none.
    """
