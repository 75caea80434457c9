"""What all verbs of a store need: its directory, and the writer of its files.

Does not depend on: what a verb does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from colonnade._names import Names
from colonnade.storage import settings
from colonnade.storage.catalog import Catalog
from colonnade.storage.directory import TIMEOUT
from colonnade.storage.opening import open_catalog

if TYPE_CHECKING:
    from colonnade._put import Writer


class StoreBase(Names):
    """A directory of tables that is opened, and read and written when a verb is called."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        capacity: int | str | None = None,
        spares: int | str | None = None,
        mode: int | None = None,
        trust: int | str | Iterable[int | str] = (),
        durable: bool = False,
        timeout: float = TIMEOUT,
    ) -> None:
        options = settings.checked(capacity=capacity, spares=spares, mode=mode)
        self._own_catalog = open_catalog(path, options, trust=trust, durable=durable, timeout=timeout)

    @property
    def _catalog(self) -> Catalog:
        return self._own_catalog

    _last_writer: Writer | None = None

    @property
    def _writer(self) -> Writer:
        catalog = self._catalog
        writer = self._last_writer
        if writer is None or writer.catalog is not catalog:
            from colonnade._put import Writer

            writer = self._last_writer = Writer(catalog)
        return writer

    @property
    def path(self) -> Path:
        """The directory."""
        return self._catalog.directory.root
