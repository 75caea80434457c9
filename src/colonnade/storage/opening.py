"""Makes the catalog of a store from what a caller, or the environment, says of it.

Does not depend on: what is done with the store.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from colonnade.arguments import seconds
from colonnade.storage import paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.directory import TIMEOUT, Directory
from colonnade.storage.settings import Settings
from colonnade.storage.users import trusted_by_environment, user_numbers

_NOTHING_CHOSEN = Settings()


def open_catalog(
    path: str | os.PathLike[str] | None,
    options: Settings = _NOTHING_CHOSEN,
    *,
    trust: int | str | Iterable[int | str] = (),
    durable: bool = False,
    timeout: float = TIMEOUT,
) -> Catalog:
    """Make the catalog of a store from the parameters of `Store`; it opens nothing. The settings are checked ones."""
    root = paths.default_store() if path is None else paths.directory_path(path)
    directory = Directory(
        Path(os.path.abspath(root)),  # links are not followed
        own=path is None and not os.environ.get(paths.STORE_VARIABLE),
        durable=durable,
        trusted_users=user_numbers(trust) | trusted_by_environment(),
        options=options,
        timeout=seconds(timeout, "timeout"),
    )
    return Catalog(directory)
