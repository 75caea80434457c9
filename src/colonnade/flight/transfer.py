"""Receives the bytes of a snapshot from one host: a thread for each stream, and a watchdog over them.

Does not depend on: which host sends, what becomes of the file.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from colonnade.errors import CorruptSnapshotError, RemoteError
from colonnade.flight import credentials
from colonnade.flight.address import Address
from colonnade.flight.client import PATIENCE, Connection, Reader
from colonnade.flight.messages import Part
from colonnade.format.seal import Seal
from colonnade.storage.draft import Draft

# Files of this size and more come by two connections.
_TWO_STREAMS = 32 << 20
_ALIGNED = 1 << 20
# How often the watchdog looks, in seconds.
_GLANCE = 0.25
# A peer that sends fewer bytes in `PATIENCE` seconds is as good as silent. Batches have twice as many.
_LEAST = 512 << 10


def receive(source: Address, parts: list[Part], size: int, draft: Draft) -> None:
    """Receive all parts of a file of this size into a draft.

    Raises
    ------
    RemoteError
        The host fails, or sends nothing or too little in `PATIENCE` seconds.
    CorruptSnapshotError
        It sends more than it was asked for.
    """
    mapping = draft.map(size)
    target = None if mapping is None else np.frombuffer(cast(Any, mapping), np.uint8)

    def write(at: int, data: memoryview) -> None:
        if target is None:
            draft.write(at, data)
        else:
            target[at : at + len(data)] = np.frombuffer(data, np.uint8)

    _Transfer(source, write).run(parts)


def parts_of(name: str, seal: Seal, transfer: str) -> list[Part]:
    """Say what to ask a host for: the whole file, or two halves of a large one."""
    middle = 0 if seal.size < _TWO_STREAMS else seal.size // 2 // _ALIGNED * _ALIGNED
    bounds = [(0, middle), (middle, seal.size)] if middle else [(0, seal.size)]
    return [
        Part(seal.identity, name, seal.version, start, stop, transfer, streams=len(bounds)) for start, stop in bounds
    ]


class _Transfer:
    """The streams of one fetch, each in a thread, and the watchdog over them."""

    def __init__(self, source: Address, write: Callable[[int, memoryview], None]) -> None:
        self._source = source
        self._write = write
        self._credentials = credentials.current(str(source))
        self._readers: list[Reader] = []
        self._byte_count = 0
        self._is_stopped = False
        self._error: BaseException | None = None
        self._end_of_thread = threading.Condition()
        self._running = 0

    def run(self, parts: list[Part]) -> None:
        """Receive all parts, or raise."""
        threads = [
            threading.Thread(target=self._receive, args=(part,), name="colonnade-fetch", daemon=True) for part in parts
        ]
        self._running = len(threads)
        try:
            for thread in threads:
                thread.start()
            with self._end_of_thread:
                seconds, before = 0.0, 0
                while self._running and self._error is None:
                    began = time.monotonic()
                    self._end_of_thread.wait(_GLANCE)
                    # Seconds in which this process was stopped itself are not the peer's.
                    seconds += min(time.monotonic() - began, 2 * _GLANCE)
                    nbytes = self._byte_count - before
                    if nbytes >= _LEAST:
                        seconds, before = 0.0, self._byte_count
                    if self._running and seconds > PATIENCE:
                        what = f"{nbytes:,} bytes in" if nbytes else "nothing for"
                        raise RemoteError(f"{self._source} sent {what} {PATIENCE:g} seconds")
            if self._error is not None:
                raise self._error
        finally:
            # A thread that still waits for the peer writes nothing any more when it wakes up.
            self._is_stopped = True
            self._error = None  # its traceback leads here: in a circle they would keep the draft open
            for reader in self._readers:
                with contextlib.suppress(Exception):
                    reader.cancel()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(PATIENCE / 2)

    def _receive(self, part: Part) -> None:
        try:
            with Connection(self._source, self._credentials) as connection:
                reader = connection.read(part)
                self._readers.append(reader)
                at = part.start
                for data in reader:
                    if self._is_stopped:
                        return
                    if at + len(data) > part.stop:
                        raise CorruptSnapshotError(f"{self._source} sent more bytes than were asked for")
                    self._write(at, data)
                    at += len(data)
                    with self._end_of_thread:
                        self._byte_count += len(data)
                if at != part.stop and not self._is_stopped:
                    raise RemoteError(
                        f"{self._source} ended the transfer after {at - part.start:,} of "
                        f"{part.stop - part.start:,} bytes"
                    )
        except BaseException as error:  # it is raised in the thread that waits
            with self._end_of_thread:
                self._error = self._error or (None if self._is_stopped else error)
        finally:
            with self._end_of_thread:
                self._running -= 1
                self._end_of_thread.notify_all()
