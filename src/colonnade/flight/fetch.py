"""One transfer for a host: the first process that wants a snapshot fetches it, the others wait and map the copy.

Does not depend on: who asks for it, how bytes are sent (`client`).

1. Look for a copy. It has the identity of the snapshot in its name.
2. Lock the file ``fetch-<identity>``, and look again. The kernel drops the lock of a fetcher that ends, however it
   ends, and the next one that waits takes its place. What it had received goes with it: its draft has no name.
3. Ask a host. The answer has the seal, and so the size. The draft is made now, so a full store is an error before a
   byte has moved.
4. Ask the host for a source: itself, or another host that has a copy (`sources`). Receive into the draft from there, by
   two connections. If another host fails, ask for another source.
5. Check the length, the seal, the checksum where there is one, and the structure, as of any file that somebody else
   made. The seal is the one that the host offered, and its identity is the one that was wanted.
6. Give the draft its name, with its lock held, and tell the asked host the address at which this host serves it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from colonnade import _core
from colonnade.errors import (
    ColonnadeError,
    CorruptSnapshotError,
    LockTimeoutError,
    NotFoundError,
    ReentrantCallError,
    RemoteError,
)
from colonnade.flight import address as addresses
from colonnade.flight import credentials
from colonnade.flight.address import Address
from colonnade.flight.client import ask
from colonnade.flight.granting import PAUSE, granting
from colonnade.flight.library import flight, is_usable
from colonnade.flight.messages import Offer, Request
from colonnade.flight.transfer import parts_of, receive
from colonnade.format.read.file import open_file, reading
from colonnade.format.seal import Seal
from colonnade.storage import copies, folders, paths, processes
from colonnade.storage.catalog import Catalog
from colonnade.storage.directory import Directory
from colonnade.storage.draft import Draft
from colonnade.storage.opening import open_catalog
from colonnade.storage.os_errors import explained
from colonnade.storage.publish import Publisher
from colonnade.storage.segment import Segment

_FIRST_PAUSE, _LONGEST_PAUSE = 1e-3, 0.05
# The private memory of a fetch at its peak is less than this (measured: 25 MiB for two streams), and a small table
# takes little.
_PRIVATE = 32 << 20

_Result = TypeVar("_Result")


class Fetched(NamedTuple):
    """A copy of another host's snapshot, open and held."""

    name: str
    segment: Segment
    seal: Seal


def fetch(catalog: Catalog, request: Request, locations: Sequence[str]) -> Fetched:
    """Open the copy of a snapshot in a store; fetch it from one of its locations if there is none.

    Raises
    ------
    NotFoundError
        If the host has it no longer.
    RemoteError
        If no host answers; each is named.
    StoreFullError
        Before anything was transferred.
    CorruptSnapshotError
        If what arrived is not what was offered.
    """
    name = request.name
    if request.identity is not None and (segment_and_seal := copies.attach(catalog, name, request.identity)):
        return Fetched(request.name, *segment_and_seal)
    if not is_usable():
        return _fetch_in_new_process(catalog, request, locations)
    flight()  # may be missing: before a lock is taken
    if request.identity is None:
        seal = _newest(request, locations, catalog.directory.timeout)
        request = Request(request.name, seal.version, seal.identity)
    identity = cast(int, request.identity)
    with explained(catalog.directory.root, f"fetching {request.name!r}"):
        segment_and_seal = copies.attach(catalog, name, identity)
        if segment_and_seal is None:
            catalog.directory.prepare()
            with _alone(catalog.directory, identity):
                segment_and_seal = copies.attach(catalog, name, identity) or _fetch(catalog, request, locations)
    return Fetched(request.name, *segment_and_seal)


def _newest(request: Request, locations: Sequence[str], timeout: float) -> Seal:
    """Ask the locations in turn which snapshot a name leads to. One may have to write a growing table's rows first."""

    def of(address: Address) -> Seal:
        end = time.monotonic() + timeout
        while True:
            began = time.monotonic()
            offer = ask(address, credentials.current(str(address)), request).offer
            if offer.seal:
                return _seal_of(offer, request, address)
            if began > end:
                raise RemoteError(
                    f"{address} has been writing the rows of {request.name!r} for {timeout:g} seconds. Ask again, or "
                    "wait longer: Store(..., timeout=seconds)"
                )
            # A host that writes waits a while before it says so; this is for one that does not.
            time.sleep(max(0.0, began + PAUSE - time.monotonic()))

    return _in_turn(locations, of)


def _fetch(catalog: Catalog, request: Request, locations: Sequence[str]) -> tuple[Segment, Seal]:
    """Fetch a snapshot by way of the first location that can be had."""
    return _in_turn(locations, lambda address: _fetch_by_way_of(address, catalog, request))


def _in_turn(locations: Sequence[str], use: Callable[[Address], _Result]) -> _Result:
    """Use the locations in turn, until one does not fail; raise what all of them failed by."""
    errors: list[ColonnadeError] = []
    for location in locations:
        try:
            return use(addresses.parse(location)[0])
        except (NotFoundError, RemoteError) as error:
            errors.append(error)
    kind = RemoteError if any(isinstance(error, RemoteError) for error in errors) else NotFoundError
    raise kind("; ".join(error.args[-1] if error.args else str(error) for error in errors) or "it has no location")


def _fetch_by_way_of(address: Address, catalog: Catalog, request: Request) -> tuple[Segment, Seal]:
    """Fetch a snapshot by way of a host, which sends it itself or names another one that does."""
    seal = _seal_of(ask(address, credentials.current(str(address)), request).offer, request, address)
    publisher = Publisher(catalog)
    publisher.retire_copies(request.name, seal.version)
    private = min(seal.size, _PRIVATE)
    with publisher.draft(seal.size, private) as draft, granting(address, request, catalog) as conversation:
        for source in conversation.sources():
            with conversation.tried(source):
                receive(source, parts_of(request.name, seal, conversation.transfer), seal.size, draft)
                _check(draft, request.name, source, seal)
        file = copies.file_of(request.name, seal.identity)
        return publisher.place(draft, seal.size, file, shared=True), seal


def _seal_of(offer: Offer, request: Request, address: Address) -> Seal:
    """The seal that a host offers, of the snapshot that was asked for."""
    try:
        seal = Seal.unpack(bytes.fromhex(offer.seal))
    except Exception as error:
        raise RemoteError(
            f"{address} offers {request.name!r} with a seal that cannot be read here: {error}. "
            "Install the same version of colonnade on all hosts"
        ) from error
    version = request.version if request.version is not None and request.version > 0 else seal.version
    identity = seal.identity if request.identity is None else request.identity
    if (offer.name, seal.version, seal.identity) != (request.name, version, identity):
        raise RemoteError(f"{address} offers another snapshot than the one that was asked for, {request.name!r}")
    return seal


def _check(draft: Draft, name: str, source: Address, seal: Seal) -> None:
    """See that a whole snapshot arrived, and the one that was offered."""
    size = seal.size
    try:
        if Segment(Path(name), draft.reopen()).seal() != seal:
            raise CorruptSnapshotError("its seal differs from the one that was offered")
        with reading():
            file = open_file(_core.Mapping(draft.fd, size, False), 0, size, seal.checksums)
            file.check_values()
            if file.rows != seal.rows or file.batch.num_columns != seal.columns:
                raise CorruptSnapshotError("its rows or columns are not those of its seal")
    except CorruptSnapshotError as error:
        raise CorruptSnapshotError(
            f"what {source} sent of {name!r} is damaged: {error}; nothing was stored. Fetch it again"
        ) from None


# -- one process of a host ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(directory: Directory, identity: int) -> Iterator[None]:
    """Wait until no other process fetches this snapshot; then hold its lock.

    Raises
    ------
    LockTimeoutError, ReentrantCallError
    """
    name = paths.fetch_name(identity)
    began, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        with directory.opened() as root, folders.segments(root, make=True) as folder:
            lock = _core.Descriptor(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, folder)
            try:
                while not lock.try_lock():
                    if lock.locked_by_this_thread():
                        raise ReentrantCallError(
                            f"a signal handler or a finalizer fetches a table into {directory.root} that its thread is "
                            "fetching; let another thread fetch it"
                        )
                    if time.monotonic() - began > directory.timeout:
                        raise LockTimeoutError(_describe(lock, directory))
                    time.sleep(pause)
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
                if _leads_to(folder, name, lock.fileno()):
                    try:
                        yield
                    finally:
                        with contextlib.suppress(OSError):
                            os.unlink(name, dir_fd=folder)
                    return
            finally:
                lock.close()


def _leads_to(folder: int, name: str, fd: int) -> bool:
    """Whether the name still leads to what was locked: the one before removes it when it is done."""
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False


def _describe(lock: _core.Descriptor, directory: Directory) -> str:
    holder = processes.lock_holder(lock.fileno())
    who = "another process" if holder is None else f"process {holder.pid} ({holder.command})"
    return f"{who} has been fetching this table into {directory.root} for {directory.timeout:g} seconds"


# -- forked children ---------------------------------------------------------------------------------------------------


def _fetch_in_new_process(catalog: Catalog, request: Request, locations: Sequence[str]) -> Fetched:
    """Fetch in a process of its own: gRPC cannot be used in this one, see `library`."""
    table = [request.name, request.version, request.identity]
    directory = catalog.directory
    task = json.dumps([os.fspath(directory.root), directory.timeout, table, list(locations), credentials.current()])
    process = subprocess.run(
        [sys.executable, "-c", "from colonnade.flight.fetch import fetch_for_parent; fetch_for_parent()"],
        input=task,
        text=True,
        capture_output=True,
        check=False,
    )
    lines = process.stdout.strip().splitlines()
    if not lines:
        raise RemoteError(f"a process to fetch {request.name!r} ended: {process.stderr.strip()[-500:]}")
    kind, number, text = json.loads(lines[-1])
    if kind is None:
        segment_and_seal = copies.attach(catalog, text, number)
        if segment_and_seal is None:
            raise NotFoundError(f"the copy of {text!r} was removed as soon as it was fetched; there is little room")
        return Fetched(text, *segment_and_seal)
    classes = {error.__name__: error for error in _subclasses(ColonnadeError)}
    error = classes.get(kind, RemoteError)
    raise error(number, text) if number is not None else error(text)


def _subclasses(kind: type[ColonnadeError]) -> Iterator[type[ColonnadeError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def fetch_for_parent() -> None:
    """Fetch what standard input says, and print the identity of the copy, or the error."""
    store, timeout, table, locations, own = json.load(sys.stdin)
    credentials.use(credentials.Credentials(*own))
    try:
        copy = fetch(open_catalog(store, timeout=timeout), Request(*table), locations)
        answer: tuple[str | None, int | None, str] = (None, copy.seal.identity, copy.name)
    except ColonnadeError as error:
        answer = (type(error).__name__, getattr(error, "errno", None), str(error))
    sys.stdout.write(json.dumps(answer) + "\n")
