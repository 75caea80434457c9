"""The file of a snapshot: what its seal says, its opening, its mapping, the checks of its values, its closing.

`Snapshot` inherits this and adds the views. Does not depend on: pandas, Polars, NumPy, how a name leads to a segment.
"""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from weakref import WeakValueDictionary

import pyarrow as pa

from colonnade._frame_like import FrameLike
from colonnade._mappings import remember_source
from colonnade._reference import Reference
from colonnade.errors import ColonnadeError, CorruptSnapshotError
from colonnade.format.ipc import read_metadata, without_layout_metadata
from colonnade.format.read.file import StoredFile, open_file
from colonnade.format.read.json_text import decode_json
from colonnade.format.read.values import check_values
from colonnade.format.schema import decode as decode_layout
from colonnade.format.seal import Seal
from colonnade.storage.os_errors import explain_use
from colonnade.storage.segment import Segment

if TYPE_CHECKING:
    from colonnade._lookup import Lookup
    from colonnade.storage.log_reader import LogReader


# The tables whose values were looked at in this process: where each is, and its identity. The oldest leave first.
_checked_tables: dict[tuple[Any, int], None] = {}
_MOST_CHECKED = 256


def _remember(key: tuple[Any, int]) -> None:
    _checked_tables[key] = None
    while len(_checked_tables) > _MOST_CHECKED:
        _checked_tables.pop(next(iter(_checked_tables)), None)


class Attached(FrameLike):
    """A table's file, which is opened when it is first used."""

    _segment: Segment | None = None  # not opened yet
    _path: Path | str | None = None  # as it was when it was closed
    _lookup_of_key: Lookup | None = None
    _closed = False
    _read: pa.RecordBatch | None = None
    _shared_file: StoredFile | None = None

    def __init__(self, reference: Reference, segment: Segment | None = None) -> None:
        self._reference = reference
        self._seal = reference.seal
        self._segment = segment
        if segment is not None:
            _open_segments[self.identity] = segment

    @classmethod
    def attached(cls, store: Path, name: str, segment: Segment, seal: Seal) -> Self:
        """Make the snapshot of a table's segment that is open.

        Parameters
        ----------
        store : Path
            The directory of the store.
        name : str
            The table's name.
        segment : Segment
            The open file, which the snapshot owns from now on.
        seal : Seal
            Its seal.

        Returns
        -------
        Snapshot
        """
        return cls(Reference(os.fspath(store), name, "", segment.owner, seal), segment)

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The table's name; ``""`` for one that is shared without a name."""
        return self._reference.name

    @property
    def version(self) -> int:
        """The version: 1 for the first put of the name, and 1 more with each."""
        return self._seal.version

    @property
    def identity(self) -> int:
        """A random number that no other snapshot has, whatever its name and version."""
        return self._seal.identity

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self._seal.rows

    @property
    def num_columns(self) -> int:
        """The number of columns in the Arrow schema, stored index levels included."""
        return self._seal.columns

    @property
    def nbytes(self) -> int:
        """The size of the file, in bytes."""
        return self._seal.size

    @property
    def has_checksums(self) -> bool:
        """Whether the file has checksums: always of its layout, and of its values if they were asked for.

        False for files of release 0.2.0.
        """
        return self._seal.checksums is not None

    @property
    def created(self) -> datetime:
        """When it was put, in UTC."""
        return datetime.fromtimestamp(self._seal.created_ns / 1e9, UTC)

    @property
    def expires(self) -> datetime | None:
        """When it may be removed, in UTC, by the ``ttl=`` of its put; None: never."""
        moment = self._seal.expires_ns
        return None if moment is None else datetime.fromtimestamp(moment / 1e9, UTC)

    @property
    def path(self) -> Path:
        """The Arrow IPC file, for any program that opens one; a newer version takes the path over."""
        segment = self._segment
        if segment is not None:
            return segment.path
        return self._reference.path if self._path is None else Path(self._path)  # the former was not opened

    @property
    def kind(self) -> Literal["table", "array"]:
        """What was put: ``"table"``, or ``"array"`` for a NumPy array or a buffer."""
        with self._located():
            return "table" if self._stored_file(writable=False).array is None else "array"

    @property
    def log(self) -> LogReader | None:
        """The growing table that this snapshot shows; None for a table that was put."""
        return None

    @property
    def meta(self) -> dict[str, Any]:
        """What ``meta=`` of its put gave; empty for nothing."""
        with self._located():
            try:
                text = read_metadata(self.fileno(), self.nbytes)
            except ColonnadeError:
                raise
            except OSError as error:
                raise explain_use(error, "reading metadata") from error
            return decode_json(decode_layout(text).meta, "meta")

    @property
    def columns(self) -> list[Any]:
        """The labels of the columns, as pandas has them, without the levels of the index."""
        from colonnade.format.read.table import labels_of

        with self._located():
            return labels_of(self._stored_file(writable=False))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that pandas or NumPy gives: (rows, columns) of a table, (rows,) of a Series, an array's own."""
        with self._located():
            file = self._stored_file(writable=False)
        if file.array is not None:
            return tuple(file.array.shape)
        return (self.num_rows,) if file.series is not None else (self.num_rows, len(self.columns))

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the ``pandas`` metadata where there is any."""
        return self._batch().schema

    # -- its file ------------------------------------------------------------------------------------------------------

    def _check_values(self, batch: pa.RecordBatch) -> None:
        """Look at the values before something follows them; in a process once, because a table does not change."""
        key = (self._opened().place, self.identity)
        if key not in _checked_tables:
            with self._located():
                check_values(batch)
            _remember(key)

    def _batch(self) -> pa.RecordBatch:
        # No cached_property: before Python 3.12 it has a lock, which a child forked meanwhile would wait for for ever.
        if self._read is None:
            self._read = self._read_batch()
        return self._read

    def _read_batch(self) -> pa.RecordBatch:
        with self._located():
            batch = self._stored_file(writable=False).batch
        return batch.replace_schema_metadata(without_layout_metadata(batch.schema))

    def _stored_file(self, *, writable: bool) -> StoredFile:
        # All views share a read-only mapping. Each writable frame has a mapping of its own.
        if not writable and self._shared_file is not None and not self._closed:
            return self._shared_file
        # No variable for the segment: the traceback of an error must not keep its descriptor.
        mapping = self._opened().map(writable=writable)
        remember_source(mapping, self._reference)
        file = open_file(mapping, 0, self._opened().size, self._seal.checksums)
        if file.rows != self.num_rows:
            raise CorruptSnapshotError(
                f"the layout metadata declares {file.rows} rows and the seal declares {self.num_rows}"
            )
        if not writable:
            self._shared_file = file
        return file

    @contextlib.contextmanager
    def _located(self) -> Any:
        try:
            yield
        except CorruptSnapshotError as error:
            raise type(error)(
                f"{self._called} cannot be opened: {error}. The file is {self.path}; delete it, or put the table again"
            ) from error

    @property
    def _called(self) -> str:
        return self._reference.described

    def _opened(self) -> Segment:
        """The open segment; a reference is opened now."""
        segment = self._segment
        if segment is None:
            if self._closed:
                raise ValueError(f"{self._called} is closed; open it again")
            segment = _open_segments.get(self.identity) or self._reference.attach()
            # If several threads come here at once, all go on with the segment that is stored last.
            self._segment = _open_segments[self.identity] = segment
        return segment

    @property
    def closed(self) -> bool:
        """Whether it was closed: its views can no longer be made."""
        return self._closed

    def fileno(self) -> int:
        """Give the number of the file descriptor, as of any open file.

        Returns
        -------
        int
            It belongs to the snapshot, which closes it.

        Raises
        ------
        ValueError
            If it was closed.

        Examples
        --------
        >>> import colonnade as cn, os, pandas as pd
        >>> snap = cn.put("docs/fileno", pd.DataFrame({"x": [1, 2]}))
        >>> os.fstat(snap.fileno()).st_size == snap.nbytes
        True
        >>> cn.delete("docs/fileno")
        """
        return self._opened().fd

    def close(self) -> None:
        """Close the file descriptor, and drop the snapshot's own mapping. Frames and tables made before live on."""
        self._read = self._shared_file = self._lookup_of_key = None
        self._closed = True
        if self._segment is not None:
            self._path = self._segment.where
        self._segment = None  # closes it, unless a copy has it

    def validate(self) -> None:
        """Check everything, values included: Arrow's full validation, and that pandas reads what Arrow reads.

        Values that were put with ``checksum=True`` must match their checksum. Reads every byte. The result holds for
        the file as it is now: a process that may write to it can damage it.

        Raises
        ------
        CorruptSnapshotError
            Something is damaged. The message says what.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/validate", pd.DataFrame({"x": [1, 2]}), checksum=True)
        >>> snap.validate()
        >>> cn.delete("docs/validate")
        """
        from colonnade.format.read.table import validate

        with self._located():
            file = self._stored_file(writable=False)
            if file.batch.num_columns != self.num_columns:
                raise CorruptSnapshotError(
                    f"the record batch has {file.batch.num_columns} columns and the seal declares {self.num_columns}"
                )
            file.check_values()
            validate(file)
            if file.array is None and file.frame.key is not None:
                self._lookup().validate()
        _remember((self._opened().place, self.identity))

    def _lookup(self) -> Lookup:
        if self._lookup_of_key is None:
            from colonnade._lookup import Lookup

            file = self._stored_file(writable=False)
            self._lookup_of_key = Lookup(file, lambda: self.to_pandas(writable=False))
        return self._lookup_of_key


def segment_of(snapshot: Attached) -> Segment:
    """The open segment of a snapshot; a reference is opened now."""
    return snapshot._opened()


# The segments that this process has open, by identity: a copy of a snapshot needs no name that leads to it.
_open_segments: WeakValueDictionary[int, Segment] = WeakValueDictionary()
