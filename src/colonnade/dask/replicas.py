"""Keeps the tables that tasks have made when Dask moves them to other workers, as it does before it retires one.

Does not depend on: how a table is served or fetched.

Dask moves a result as its value, and the value of a table is a reference. The table must outlive its host. So a worker
that receives a reference fetches the table at once, in a thread. And a worker that has made tables
goes on serving when it closes, until no host has asked for some time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from colonnade._serve import Server
from colonnade.errors import ColonnadeError, RemoteError
from colonnade.snapshot import Snapshot

_LOG = logging.getLogger("distributed.colonnade")
# A worker that closes goes on serving until nobody has asked for the first number of seconds; the second is the limit.
_SILENCE, _LONGEST = 1.0, 30.0
# How often to try a host whose next process is just taking over, and the seconds between two trials.
_TRIALS, _PAUSE = 4, 0.5


class Replicas:
    """The results of one worker that are tables."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="colonnade-replicas")
        self._is_made = False

    def take(self, key: Any, start: str) -> None:
        """Take note of a result that is in the memory of the worker now: made here, or received ("flight")."""
        task = self._worker.state.tasks.get(key)
        if task is None or task.type is not Snapshot:  # another value is not looked at: it may be on disk
            return
        if start == "flight":
            self._threads.submit(_fetch, self._worker.data[key])
        else:
            self._is_made = True

    async def close(self, server: Server) -> None:
        """Wait until no other host fetches what was made here."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + _LONGEST
        if self._is_made:
            await asyncio.sleep(_SILENCE)
            while not server.is_silent(_SILENCE) and time.monotonic() < end:
                await asyncio.sleep(_PAUSE / 10)


def _fetch(snapshot: Snapshot) -> None:
    for trial in range(_TRIALS):
        try:
            snapshot.fileno()
        except RemoteError as error:
            if trial == _TRIALS - 1:
                _LOG.warning("a table that this worker received is on another host still: %s", error)
            time.sleep(_PAUSE)
        except (ColonnadeError, ValueError):
            return  # deleted, superseded or closed: an error where it is used
        else:
            return
