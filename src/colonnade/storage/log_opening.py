"""Opens a growing table for writing, and makes it if it is not there.

Does not depend on: segments, rows, what users call.
"""

from __future__ import annotations

import os

from colonnade.errors import CorruptSnapshotError, InvalidNameError, LogBusyError, NotFoundError
from colonnade.format.growing import GrowingSchema
from colonnade.storage import log_folder
from colonnade.storage.catalog import Catalog
from colonnade.storage.log import Log, boot_id
from colonnade.storage.log_head import Retention, new_head
from colonnade.storage.publish import Publisher

_TRIES = 100


def open_log(
    catalog: Catalog,
    name: str,
    schema: GrowingSchema | None,
    retention: Retention | None,
    *,
    shared: bool = False,
) -> Log:
    """Open a growing table for writing, and make it if it is not there.

    Parameters
    ----------
    catalog : Catalog
        The store.
    name : str
        The name.
    schema : GrowingSchema, optional
        Its columns; None: those that it has.
    retention : Retention, optional
        How much is kept; None: as much as before.
    shared : bool, default False
        Wait for other producers, instead of an error.

    Raises
    ------
    LogBusyError
        Another process, or another Log of this one, has it locked.
    NotFoundError
        It is not there, and no schema is given.
    InvalidNameError
        The name is a table that does not grow.
    ValueError
        It is there, with another schema.
    CorruptSnapshotError
    """
    directory = catalog.directory
    directory.prepare()
    with directory.opened() as root:
        mode = directory.settings(root).file_mode
    for _ in range(_TRIES):
        log: Log | None = None
        try:
            with log_folder.open_folder(catalog, name) as folder:
                log = Log(catalog, name, mode, folder)
                if log.is_opened(schema, retention, shared=shared):
                    return log
        except log_folder.NONE:
            if log is not None:
                log.drop()
                log = None
            if schema is None:
                if catalog.seal_of(name) is not None:
                    raise InvalidNameError(
                        f"{name!r} is a table, which does not grow; delete it first, or append to another name"
                    ) from None
                raise NotFoundError(
                    f"there is no growing table {name!r} in {directory.root}; give its columns to make it: "
                    "appender(name, {'time': 'datetime64[ns]', ...}) or appender(name, like=df)"
                ) from None
            log = _make(catalog, name, mode, schema, retention or Retention())
            if log is not None:
                return log
        except BaseException:  # a traceback keeps the object, and must not keep the lock
            if log is not None:
                log.drop()
            raise
    if log_folder.is_there(catalog, name):
        raise CorruptSnapshotError(f"the growing table {name!r} has no head; delete it and append anew")
    raise LogBusyError(f"the growing table {name!r} is deleted and made again all the time; try again")


def _make(catalog: Catalog, name: str, mode: int, schema: GrowingSchema, retention: Retention) -> Log | None:
    """Make the table and open it, or neither; None if somebody else was faster."""
    log: Log | None = None

    def head() -> bytes:
        return new_head(_random_identity(), boot_id(), schema.encode(), retention)

    def use(folder: int) -> None:
        nonlocal log
        log = Log(catalog, name, mode, folder)
        log.lock()
        log.begin(schema, None)
        log.is_new = True

    try:
        return log if log_folder.make(catalog, Publisher(catalog), name, head, use) else None
    except BaseException:
        if log is not None:
            log.drop()
        raise


def _random_identity() -> int:
    return int.from_bytes(os.urandom(8), "little") | 1
