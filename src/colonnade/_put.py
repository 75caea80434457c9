"""How a table gets into a store. The steps stand here once, for put, load, allocate, share and by_reference.

1. **plan**: which columns, which jobs fill them. What cannot be stored is refused here; no byte has moved.
2. **lay out**: every byte gets its place, so the size of the file is known.
3. **draft**: a segment of that size, which nobody else sees. A full store is refused here.
4. **write**: the jobs run, from the memory of the source into the draft.
5. **commit**: the draft is sealed and gets its name. A table's name and version (`Writer.publish`), or a name that only
   a reference leads to (`Writer.place`).

A verb chooses how step 4 writes and how step 5 commits. If anything raises before the commit, the store is unchanged
and the memory of the draft is free.

Does not depend on: how a draft is made, how a name is changed, how a column is laid out.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, cast

import numpy as np

from colonnade import _core
from colonnade._sort import sort
from colonnade.arguments import check_flags, integer, labels
from colonnade.errors import CorruptSnapshotError, brief_repr
from colonnade.format.read.file import open_file
from colonnade.format.read.text_views import fill_views
from colonnade.format.seal import CHECKSUMS_SIZE, SEAL_SIZE, TAIL_SIZE, Checksums, Seal, seal_place
from colonnade.format.write.batched import BatchedSource
from colonnade.format.write.json_text import encode_json
from colonnade.format.write.key import Key, build_key, key_fields
from colonnade.format.write.plan import plan
from colonnade.format.write.table import Placement, lay_out
from colonnade.lifetimes import whole_seconds
from colonnade.snapshot import Snapshot
from colonnade.storage import paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.draft import Draft
from colonnade.storage.expected import Expected, Versioned
from colonnade.storage.os_errors import explained
from colonnade.storage.publish import Publisher
from colonnade.storage.segment import Segment

if TYPE_CHECKING:
    from colonnade.storage.directory import Directory

_Published = TypeVar("_Published")

# Smaller tables are built in memory and written at once: a thousand small writes cost more than one copy.
_SMALL = 1 << 20


class Request(NamedTuple):
    """Under which name a table is published, and how: the options of every verb that makes a version.

    ``meta`` is JSON, empty for none.
    """

    name: str
    keep: int
    expected: Expected | None
    ttl: int
    key: Key | None = None
    unique: bool = False
    sort_by: list[Any] | Literal[True] | None = None
    meta: str = ""
    checksum: bool = False
    views: bool = False

    @classmethod
    def checked(
        cls,
        name: str,
        keep: int = 1,
        expect_version: int | Versioned | None = None,
        ttl: float | str | timedelta | None = None,
        *,
        key: Key | None = None,
        unique: bool = False,
        sort_by: Any = None,
        meta: Mapping[str, Any] | None = None,
        checksum: bool = False,
        views: bool = False,
    ) -> Request:
        """Make a request of what a caller passed.

        Raises
        ------
        InvalidNameError, ValueError, TypeError, UnsupportedTypeError
        """
        check_name_first(name)
        paths.check_name(name)
        versions = integer(keep)
        if versions is None or versions < 1:
            raise ValueError(
                f"keep must be an integer >= 1 (the newest version is always kept), got {brief_repr(keep)}"
            )
        check_flags(checksum=checksum, unique=unique, views=views)
        if unique and (key is None or key is False):
            raise ValueError("unique=True is for keys; say with key= which columns are the key")
        expected = None if expect_version is None else Expected.of(expect_version)
        metadata = _checked_meta(meta)
        return cls(
            name, versions, expected, whole_seconds(ttl), key, unique, _columns(sort_by), metadata, checksum, views
        )


def _columns(sort_by: Any) -> list[Any] | Literal[True] | None:
    if sort_by is None or sort_by is False:
        return None
    if sort_by is True:
        return True
    columns = [sort_by] if isinstance(sort_by, tuple) else labels(sort_by)
    if not columns:
        raise ValueError("sort_by must name a column, or be True for the row index, got none")
    return columns


def _changes(request: Request, snapshot: Snapshot) -> bool:
    """Whether a stored table must be written anew; if not, the bytes of its file are copied."""
    is_without_place_for_checksum = request.checksum and not snapshot.has_checksums
    has_key = request.key is not None and request.key is not False
    changes = has_key or request.sort_by or request.meta or request.views
    return bool(changes or is_without_place_for_checksum)


def _checked_meta(meta: Mapping[str, Any] | None) -> str:
    if meta is None:
        return ""
    if not isinstance(meta, Mapping) or not all(isinstance(key, str) for key in meta):
        raise ValueError(f"meta must be a mapping of strings to JSON values, got {brief_repr(meta)}")
    return encode_json(meta, "meta", "store texts, numbers, lists and dicts")


def check_name_first(name: object) -> None:
    """Refuse a table where the name should be.

    Raises
    ------
    TypeError
    """
    if isinstance(name, str):  # one of NumPy has a shape too
        return
    is_data = isinstance(name, (Mapping, list, tuple, bytearray, memoryview))
    if is_data or any(hasattr(name, method) for method in ("shape", "__arrow_c_stream__", "collect")):
        raise TypeError(f"the name comes first, then the data: put('name', data); got a {type(name).__name__} as name")


class Writer:
    """Writes tables into one store."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.publisher = Publisher(catalog)

    @property
    def directory(self) -> Directory:
        """The store's directory."""
        return self.catalog.directory

    def put(self, data: Any, request: Request) -> Snapshot:
        """Write a table as the next version of a name."""
        self.prepare(request)
        if isinstance(data, Snapshot) and data.log is None and not _changes(request, data):
            return self.copy(data, request)
        table_plan = plan(data if request.sort_by is None else sort(data, request.sort_by))
        placement = lay_out(table_plan, key_fields(table_plan, request.key), request.meta, views=request.views)
        return self.store(
            placement, write, lambda draft: self.publish(request, placement, draft), unique=request.unique
        )

    def copy(self, snapshot: Snapshot, request: Request) -> Snapshot:
        """Write a stored table as the next version of a name: its bytes, under a new seal.

        So it is the same in every respect, even where PyArrow's metadata says less than the file, as of categorical
        labels; and no value is looked at. A checksum of the values is copied too, so it shows what was
        damaged before.
        """
        source, size = snapshot.fileno(), snapshot.nbytes
        _ = snapshot.schema  # a damaged file is an error before anything is written
        with self.explained(size):
            footer_at = seal_place(size, os.pread(source, TAIL_SIZE, size - TAIL_SIZE)) + SEAL_SIZE
        with self.explained(size), self.publisher.draft(size) as draft:
            _copy_bytes(source, draft.fd, size)
            old_seal = Seal.unpack(os.pread(draft.fd, _SEALED, footer_at - _SEALED))
            seal = _new_seal(old_seal.rows, old_seal.columns, size, request.ttl, old_seal.checksums)
            return self._commit(request, draft, seal, footer_at)

    # -- the steps -----------------------------------------------------------------------------------------------------

    def prepare(self, request: Request) -> None:
        """Make the directory, and refuse a version conflict early: before any byte moves.

        The conflict is decided later, under the store's lock.
        """
        self.directory.prepare()
        if request.expected is not None:
            request.expected.check(request.name, self.catalog.seal_of(request.name))

    def store(
        self,
        placement: Placement,
        fill: Callable[[Placement, Draft], None],
        commit: Callable[[Draft], _Published],
        *,
        unique: bool = False,
    ) -> _Published:
        """Make a draft of a table's size, fill it, build its key index and commit it."""
        with self.explained(placement.size), self.publisher.draft(placement.size) as draft:
            fill(placement, draft)
            if placement.has_texts:
                placement.write_texts(np.frombuffer(cast(Any, draft.map_written(placement.size)), np.uint8))
            if placement.views:
                _fill_views(draft.map_written(placement.size))
            if placement.key is not None:
                build_key(draft.map_written(placement.size), placement.key_at, unique=unique)
            return commit(draft)

    def publish(self, request: Request, placement: Placement, draft: Draft) -> Snapshot:
        """Commit a filled draft as the next version of a name."""
        return self._commit(request, draft, _seal_of(placement, draft, request.ttl), placement.footer_at)

    def _commit(self, request: Request, draft: Draft, seal: Seal, footer_at: int) -> Snapshot:
        if request.checksum:
            seal = _with_values(seal, draft, footer_at - _SEALED)
        segment, final_seal = self.publisher.publish(
            request.name,
            draft,
            seal,
            lambda final: _write_seal(draft, final, footer_at),
            keep=request.keep,
            expected=request.expected,
        )
        return Snapshot.attached(self.directory.root, request.name, segment, final_seal)

    def place(self, file: str, placement: Placement, draft: Draft, *, version: int = 1) -> tuple[Segment, Seal]:
        """Commit a filled draft as a file that only a reference leads to."""
        seal = _seal_of(placement, draft)._replace(version=version)
        _write_seal(draft, seal, placement.footer_at)
        return self.publisher.place(draft, placement.size, file), seal

    def explained(self, size: int) -> contextlib.AbstractContextManager[None]:
        """Turn the kernel's errors in a block into errors that name the store and the table's size."""
        return explained(self.directory.root, f"a table of {size:,} bytes")


# The bytes of checksums and seal.
_SEALED = CHECKSUMS_SIZE + SEAL_SIZE


def _seal_of(placement: Placement, draft: Draft, ttl: int = 0) -> Seal:
    checksums = Checksums.unpack(os.pread(draft.fd, CHECKSUMS_SIZE, placement.end))
    return _new_seal(placement.plan.rows, len(placement.plan.fields), placement.size, ttl, checksums)


def _new_seal(rows: int, columns: int, size: int, ttl: int, checksums: Checksums | None) -> Seal:
    """The seal of a new table; its version is given at the commit."""
    identity = int.from_bytes(os.urandom(8), "little")
    return Seal(0, identity, time.time_ns(), rows, columns, size, ttl, checksums)


def _with_values(seal: Seal, draft: Draft, end: int) -> Seal:
    """The seal with a checksum of the values, which stand before ``end``; one that was copied is kept."""
    if seal.checksums is None or seal.checksums.values is not None:
        return seal
    with memoryview(cast(Any, _core.Mapping(draft.fd, seal.size, False))) as contents, contents[:end] as values:
        return seal._replace(checksums=seal.checksums._replace(values=_core.hash_bytes(values)))


def _write_seal(draft: Draft, seal: Seal, footer_at: int) -> None:
    data = seal.pack()
    draft.write(footer_at - len(data), data)


# Between two parts of a copy, an interrupt is handled.
_PART = 64 << 20


def _copy_bytes(source: int, target: int, size: int) -> None:
    """Copy a file inside of the kernel: a source that is truncated meanwhile is an error, and no signal."""
    os.ftruncate(target, size)
    os.lseek(target, 0, os.SEEK_SET)
    offset = 0
    while offset < size:
        count = os.sendfile(target, source, offset, min(size - offset, _PART))
        if count == 0:
            raise CorruptSnapshotError(f"the table has {offset:,} bytes instead of {size:,}: its file was truncated")
        offset += count


def _fill_views(memory: Any) -> None:
    """Write the views of a table; its file is in memory, whole but for its seal."""
    fill_views(np.frombuffer(memory, np.uint8), open_file(memory, 0, len(memory)))


# -- ways to fill a draft ----------------------------------------------------------------------------------------------


def write(placement: Placement, draft: Draft) -> None:
    """Fill a draft at once, through a mapping where the kernel gives huge pages, else by ``pwrite``."""
    if placement.size <= _SMALL:
        memory = np.zeros(placement.size, np.uint8)
        placement.write_to_memory(memory)
        draft.write(0, memory.data)
        return
    mapping = draft.map(placement.size)
    if draft.used:
        placement.clear_gaps(draft.write)
    if mapping is None:
        placement.write_to_file(draft.fd, draft.write)
    else:
        placement.write_to_memory(np.frombuffer(cast(Any, mapping), np.uint8))


def write_batched(placement: Placement, draft: Draft, source: BatchedSource) -> None:
    """Fill a draft batch by batch, and release each batch of the source as soon as it is written.

    The pages of a mapping come batch by batch too, because all of them and the source would be the table twice.

    Raises
    ------
    MisdeclaredError
    """
    if placement.size <= _SMALL and not source.stream_fields:
        write(placement, draft)
        return
    memory_of = draft.map_step_by_step(placement.size, len(placement.plan.regions()))
    if draft.used:
        placement.clear_gaps(draft.write)
    placement.write_batched(draft.fd, draft.write, cast(Any, memory_of), source)
