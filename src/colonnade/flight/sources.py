"""Which host sends a snapshot to which: each sends to one at a time, so that copies double with each round.

Does not depend on: Flight, files, how bytes are sent.

The host that a receiver asks keeps the books: which hosts have the snapshot, and what each of them is sending.

1. A receiver that asks is granted a source: a host that has the snapshot and sends it to nobody else. While there is
   none it waits, in the order of asking.
2. A receiver that is done says so, and with which address it serves its own copy. It is a source from then on. So n
   receivers take about log2(n) + 1 times one transfer, where one uplink for all would take n times.
3. The host that sends has the last word. It counts its own transfers by their streams, and refuses one more: several
   hosts may have named it as a source.
4. A grant whose receiver ends without a word is dropped: where this host sends, when its streams end; elsewhere after
   `_ELSEWHERE` seconds. A source that failed a receiver is asked no more until it says again that it has the snapshot.

5. A receiver that was stopped would keep all others waiting. A transfer that takes longer than a slow network needs
   does not occupy its source any more, so the source may send to another receiver too.

A source sends one snapshot to one receiver at a time, because two receivers with half of the uplink each would both
take twice as long. It sends at most `_MOST` snapshots at once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque

from colonnade.format.seal import Seal

# A host that is sending this many snapshots grants no other.
_MOST = 4
# Seconds until a grant that was not used is dropped, and one for another host, whose streams are not seen here.
_UNUSED, _ELSEWHERE = 3.0, 30.0
# A transfer may take `_SLOW` seconds, and one more for each `_BYTES_IN_SECOND`. Then other hosts wait for it no more.
_SLOW, _BYTES_IN_SECOND = 10.0, 50 << 20
# How often a receiver that waits looks whether a grant has expired, in seconds.
_GLANCE = 0.25
# How many snapshots are remembered, and how many sources of each.
_SNAPSHOTS, _SOURCES = 256, 4096
# This host, among the sources.
HERE = ""


class _Grant:
    """One transfer from one source: its streams that run and that are still to come, and when it is dropped."""

    __slots__ = ("expires", "running", "slow", "streams_left")

    def __init__(self, now: float, seconds: float, seal: Seal | None) -> None:
        self.running, self.streams_left, self.expires = 0, -1, now + seconds
        self.slow = now + max(seconds, _SLOW + (0 if seal is None else seal.size) / _BYTES_IN_SECOND)

    def is_over(self, now: float) -> bool:
        return self.running == 0 and (self.streams_left == 0 or now >= self.expires)

    def is_slow(self, now: float) -> bool:
        return now >= self.slow


class _Waiting:
    """A receiver in the queue, and the source that it was granted."""

    __slots__ = ("source", "transfer")

    def __init__(self, transfer: str) -> None:
        self.transfer = transfer
        self.source: str | None = None


class _Snapshot:
    """The books of one snapshot: the transfers of each source, and the queue."""

    __slots__ = ("queue", "seal", "sources")

    def __init__(self) -> None:
        self.seal: Seal | None = None
        self.sources: dict[str, dict[str, _Grant]] = {}
        self.queue: deque[_Waiting] = deque()


class Sources:
    """The books of a host. All methods may be called by any thread."""

    def __init__(self) -> None:
        # Reentrant: a stream may end while the thread that releases it is in here.
        self._change = threading.Condition(threading.RLock())
        self._snapshots: OrderedDict[int, _Snapshot] = OrderedDict()

    def grant(self, seal: Seal, transfer: str, patience: float, *, here: bool) -> str | None:
        """Grant a receiver a source, as soon as there is one; None after ``patience`` seconds.

        Parameters
        ----------
        seal : Seal
            The snapshot.
        transfer : str
            The receiver's name for its transfer.
        patience : float
            How long to wait.
        here : bool
            Whether this host has the snapshot.

        Returns
        -------
        str or None
            An address, or `HERE`.
        """
        end = time.monotonic() + patience
        waiting = _Waiting(transfer)
        with self._change:
            snapshot = self._of(seal.identity)
            snapshot.seal = seal
            if here:
                snapshot.sources.setdefault(HERE, {})
            else:
                snapshot.sources.pop(HERE, None)
            snapshot.queue.append(waiting)
            try:
                while True:
                    self._hand_out(snapshot)
                    seconds_left = end - time.monotonic()
                    if waiting.source is not None or seconds_left <= 0 or not snapshot.sources:
                        return waiting.source
                    self._change.wait(min(seconds_left, _GLANCE))
            finally:
                if waiting.source is None:
                    snapshot.queue.remove(waiting)

    def begin(self, identity: int, transfer: str, streams: int, patience: float) -> bool:
        """Begin one of the streams of a transfer from this host; whether it may, after ``patience`` seconds at most."""
        end = time.monotonic() + patience
        with self._change:
            while True:
                snapshot = self._of(identity)
                grants = snapshot.sources.setdefault(HERE, {})
                busy = self._busy(grants)
                if transfer not in grants and not busy and self._running_here() < _MOST:
                    grants[transfer] = _Grant(time.monotonic(), _UNUSED, snapshot.seal)
                grant = grants.get(transfer)
                if grant is not None and grant.streams_left:  # not one more than were announced
                    if grant.streams_left < 0:
                        grant.streams_left = streams
                    grant.streams_left = max(grant.streams_left - 1, 0)
                    grant.running += 1
                    return True
                seconds_left = end - time.monotonic()
                if seconds_left <= 0:
                    return False
                self._change.wait(min(seconds_left, _GLANCE))

    def end(self, identity: int, transfer: str) -> None:
        """End a stream that was begun."""
        with self._change:
            grant = self._of(identity).sources.get(HERE, {}).get(transfer)
            if grant is not None:
                grant.running -= 1
                grant.expires = time.monotonic() + _UNUSED
            self._change.notify_all()

    def done(self, identity: int, transfer: str, address: str, failed_source: str) -> None:
        """End the transfer of a receiver, which serves the snapshot at ``address``, if any.

        The source ``failed_source``, if any, is not used again.
        """
        with self._change:
            snapshot = self._of(identity)
            for grants in snapshot.sources.values():
                grants.pop(transfer, None)
            if failed_source:
                snapshot.sources.pop(failed_source, None)
            if address and len(snapshot.sources) < _SOURCES:
                snapshot.sources.setdefault(address, {})
            self._change.notify_all()

    def seal_of(self, identity: int) -> Seal | None:
        """The seal of a snapshot that another host has; None if none does."""
        with self._change:
            snapshot = self._snapshots.get(identity)
            return snapshot.seal if snapshot is not None and any(snapshot.sources) else None

    def is_sending(self) -> bool:
        """Whether this host sends to another one."""
        with self._change:
            return any(
                grant.running for each in self._snapshots.values() for grant in each.sources.get(HERE, {}).values()
            )

    def _of(self, identity: int) -> _Snapshot:
        snapshot = self._snapshots.setdefault(identity, _Snapshot())
        self._snapshots.move_to_end(identity)
        while len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return snapshot

    def _hand_out(self, snapshot: _Snapshot) -> None:
        """Give the sources that are free to those who wait, in turn."""
        waiting = (each for each in list(snapshot.queue))
        now = time.monotonic()
        for source, grants in snapshot.sources.items():
            if self._busy(grants) or (source == HERE and self._running_here() >= _MOST):
                continue
            first = next(waiting, None)
            if first is None:
                return
            snapshot.queue.remove(first)
            grants[first.transfer] = _Grant(now, _UNUSED if source == HERE else _ELSEWHERE, snapshot.seal)
            first.source = source
            self._change.notify_all()

    def _running_here(self) -> int:
        return sum(self._busy(snapshot.sources.get(HERE, {})) for snapshot in self._snapshots.values())

    @staticmethod
    def _busy(grants: dict[str, _Grant]) -> int:
        """How many transfers keep others waiting; those that are over are dropped."""
        now = time.monotonic()
        for transfer in [transfer for transfer, grant in grants.items() if grant.is_over(now)]:
            del grants[transfer]
        return sum(not grant.is_slow(now) for grant in grants.values())
