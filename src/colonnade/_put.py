"""A laid-out table, written into a draft; and how it is to be published.

Knows: the ways a table gets into a segment. Does not depend on: how a draft is had, how it gets its name.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from colonnade.format.seal import Seal
from colonnade.storage import paths
from colonnade.storage.catalog import Expected, Versioned
from colonnade.storage.draft import Draft

if TYPE_CHECKING:
    from colonnade.format.write.table import LaidOut

# Up to here a table is built in memory and written at once: a thousand small writes cost more than one copy.
_SMALL = 1 << 20


class Wanted(NamedTuple):
    """How a table is to be published."""

    name: str
    keep: int
    expect: Expected | None
    ttl: int

    @classmethod
    def checked(cls, name: str, keep: int, expect: int | Versioned | None, ttl: float | timedelta | None) -> Wanted:
        paths.check_name(name)
        if type(keep) is not int or keep < 1:
            raise ValueError(f"keep={keep!r}: it is a whole number from 1, for the newest version is always kept")
        return cls(name, keep, None if expect is None else Expected.of(expect), _seconds(ttl))


def _seconds(ttl: float | timedelta | None) -> int:
    """A lifetime in whole seconds, as a seal has it."""
    if ttl is None:
        return 0
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if not 0 < seconds < 1 << 32:
        raise ValueError(f"ttl={ttl!r}: it is a time of more than 0 and less than 2**32 seconds")
    return math.ceil(seconds)


def seal_of(laid: LaidOut, ttl: int = 0) -> Seal:
    """The seal of a table, which still lacks its version."""
    identity = int.from_bytes(os.urandom(8), "little")
    return Seal(0, identity, time.time_ns(), laid.plan.rows, len(laid.plan.columns), laid.size, ttl)


def write(laid: LaidOut, draft: Draft, seal: Seal) -> None:
    """Write a table into a draft."""
    if laid.size <= _SMALL:
        memory = np.zeros(laid.size, np.uint8)
        laid.write_to_memory(memory, seal.pack())
        draft.write(0, memory.data)
        return
    mapping = draft.map(laid.size)
    if draft.used:
        laid.clear_gaps(draft.write)
    if mapping is None:
        laid.write_to_file(draft.fd, draft.write, seal.pack())
    else:
        laid.write_to_memory(np.frombuffer(cast(Any, mapping), np.uint8), seal.pack())


def write_batched(laid: LaidOut, draft: Draft, seal: Seal, turns: Sequence[int], release: Callable[[], None]) -> None:
    """Write a table whose source is nobody else's, and let go of that bit by bit.

    With ``pwrite``: a mapping's pages are all there before the first is written, and so would be two tables.
    """
    if laid.size <= _SMALL:
        write(laid, draft, seal)
        return
    os.ftruncate(draft.fd, laid.size)
    if draft.used:
        laid.clear_gaps(draft.write)
    laid.write_batched(draft.fd, draft.write, seal.pack(), turns, release)
