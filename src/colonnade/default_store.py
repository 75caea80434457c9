"""The methods of the default store, as functions.

They are bound methods of one object, as those of the module `random` are. So each has one signature and one docstring,
which stand in `Store`; `help`, editors and type checkers show them.

Does not depend on: what a method does.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

from colonnade import _core
from colonnade.storage import paths
from colonnade.storage.catalog import Catalog
from colonnade.storage.opening import open_catalog
from colonnade.store import Store

if TYPE_CHECKING:
    from colonnade.storage.gc import Freed


@functools.cache
def _catalog_of(_path: str | None, _trust: str | None, _user: int) -> Catalog:
    return open_catalog(None)


class DefaultStore(Store):
    """The default store. Its directory is looked up at each call: the environment and the user may change."""

    def __init__(self) -> None:
        pass

    @property
    def _catalog(self) -> Catalog:
        environment = os.environ
        return _catalog_of(environment.get(paths.STORE_VARIABLE), environment.get(paths.TRUST_VARIABLE), os.getuid())

    def gc(self) -> Freed:
        """Free spares, expired tables, what killed writers left, and the memory that `to_pandas` keeps for later.

        It may run at any time, also while other processes read and write. It removes empty folders too.

        Returns
        -------
        Freed
            What was freed.

        Examples
        --------
        >>> import colonnade as cn
        >>> cn.gc()
        Freed(files=..., folders=..., nbytes=..., memory=...)
        """
        return super().gc()._replace(memory=_core.trim_pool())

    def __reduce__(self) -> str:
        return "store"  # the object of this name below, so that `cn.get` can be a task of a process pool


store = DefaultStore()

allocate = store.allocate
append = store.append
appender = store.appender
cache = store.cache
check = store.check
copy = store.copy
delete = store.delete
dump = store.dump
exists = store.exists
follow = store.follow
gc = store.gc
get = store.get
info = store.info
latest = store.latest
load = store.load
ls = store.ls
open = store.open
put = store.put
rename = store.rename
serve = store.serve
share = store.share
sql = store.sql
attach = store.attach
usage = store.usage
versions = store.versions
watch = store.watch
