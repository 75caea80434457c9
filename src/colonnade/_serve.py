"""Serving a store to other hosts, by one process of this host; others stand by.

Does not depend on: what is answered (`flight.service`), which engine's processes serve.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from colonnade._rows_so_far import RowsSoFar
from colonnade.arguments import whole_number
from colonnade.errors import ColonnadeError, StoreAccessError
from colonnade.flight import address as addresses
from colonnade.flight import credentials as process_credentials
from colonnade.flight.credentials import TOKEN_VARIABLE, Credentials
from colonnade.flight.library import flight, is_usable
from colonnade.flight.serving import Election
from colonnade.storage.catalog import Catalog
from colonnade.storage.os_errors import explained

# How often a process that stands by looks whether the place is free, in seconds.
_INTERVAL = 0.25
# How long to wait for transfers that run when a server is closed.
_PATIENCE = 5.0
# How long to wait for a process that has just begun or ended to serve the same store, with another token.
_CHANGING = 2.0


class Server:
    """A store that is served to other hosts, until `close` or until the process ends. Made by `colonnade.serve`.

    Attributes
    ----------
    address : str
        Where the store is served: ``grpc://host:port``. A table is ``<address>/<name>``.
    token : str
        What other hosts must bring, as ``$COLONNADE_TOKEN``.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> cn.put("docs/server", pd.DataFrame({"x": [1, 2, 3]})).close()
    >>> with cn.serve() as server:
    ...     cn.open(f"{server.address}/docs/server").num_rows
    3
    >>> cn.delete("docs/server")
    """

    def __init__(self, catalog: Catalog, credentials: Credentials, host: str, port: int, advertise: str) -> None:
        self._catalog = catalog
        self._credentials = credentials
        self._host, self._port, self._advertise = host, port, advertise
        self._service: Any = None
        self._address = ""
        self._election = Election(catalog.directory)
        self._closed = threading.Event()
        self._changing = threading.RLock()  # a signal handler may close it again
        self.token = credentials.token or ""
        self._stand()
        self._thread = threading.Thread(target=self._stand_by, name="colonnade-serve", daemon=True)
        self._thread.start()
        _servers.add(self)

    @property
    def address(self) -> str:
        """Where the store is served: by this process, or by the one that it stands by for."""
        return self._address if self._service is not None else self._election.previous or self._address

    @property
    def is_serving(self) -> bool:
        """Whether this process serves; False while it stands by for another process of this host."""
        return self._service is not None

    def is_silent(self, seconds: float) -> bool:
        """Whether this process has served nobody for some time, and serves nobody now.

        Parameters
        ----------
        seconds : float
            The time.

        Returns
        -------
        bool

        Examples
        --------
        >>> import colonnade as cn
        >>> with cn.serve() as server:
        ...     server.is_silent(3600)
        True
        """
        service = self._service
        return service is None or service.is_silent(seconds)

    def wait(self) -> None:
        """Wait until it is closed."""
        while not self._closed.wait(1.0):
            pass

    def close(self) -> None:
        """End serving. Transfers that run are ended after a few seconds."""
        self._closed.set()
        with self._changing:
            self._election.withdraw()
            self._end()
        _servers.discard(self)  # until here a forked child has to forget it

    def _end(self) -> None:
        service, self._service = self._service, None
        if service is not None:
            process_credentials.forget(self._address)
            # A receiver that is gone without a word would be waited for.
            ending = threading.Thread(target=service.shutdown, daemon=True)
            ending.start()
            ending.join(_PATIENCE)
            service.close_all()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed.is_set() else "serving" if self.is_serving else "standing by"
        return f"<colonnade.Server {self.address}: {state}>"

    def _stand_by(self) -> None:
        while not self._closed.wait(_INTERVAL):
            self.look()

    def look(self) -> None:
        """Take over if nobody serves; close snapshots that nobody asks for any more."""
        with self._changing, contextlib.suppress(OSError, ColonnadeError):
            if self._closed.is_set():
                return
            if self._service is None:
                self._take_over(first=False)
                return
            self._service.close_idle()
            if self._election.is_lost():
                self._stand_again()

    def _stand_again(self) -> None:
        """Announce the address in a store that was removed and made again; stand by if another process serves it."""
        self._election.withdraw()
        if self._election.stand():
            self._election.announce(self._address, self._credentials)
        else:
            self._end()

    def _stand(self) -> None:
        """Serve, or stand by for a process that serves with the same token.

        Raises
        ------
        StoreAccessError
            If it serves with another one. References would then lead to an address that refuses this token.
        """
        root, end = self._catalog.directory.root, time.monotonic() + _CHANGING
        while not self._take_over(first=True):
            theirs = process_credentials.of_store(root).token
            self._address = self._election.previous
            if self._address and theirs in (None, self.token):
                return
            if time.monotonic() > end:
                if theirs in (None, self.token):
                    return
                raise _served_already(self._election, root, "with another token")
            time.sleep(_INTERVAL / 10)

    def _take_over(self, *, first: bool) -> bool:
        with explained(self._catalog.directory.root, "serving"):
            if not self._election.stand():
                return False
        try:
            self._start(first=first)
        except BaseException:
            self._election.withdraw()
            raise
        return True

    def _start(self, *, first: bool) -> None:
        from colonnade.flight.service import Service

        scheme = addresses.TLS if self._credentials.cert else addresses.PLAIN
        tls: dict[str, Any] = {}
        if self._credentials.cert:
            tls["tls_certificates"] = [(self._credentials.read("cert"), self._credentials.read("key"))]
            if self._credentials.client_ca:
                tls |= {"verify_client": True, "root_certificates": self._credentials.read("client_ca")}
        ports = [self._port]
        if self._election.previous and not self._port:  # references to it go on to work
            ports.insert(0, addresses.parse(self._election.previous)[0].port)
        for port in ports:
            location = f"{scheme}://{addresses.bracketed(self._host)}:{port}"
            try:
                self._service = Service(self._catalog, RowsSoFar(self._catalog), self.token, location, **tls)
                break
            except (pa.ArrowException, OSError) as error:
                if port == ports[-1] and (first or not isinstance(error, OSError)):
                    number, why = _why_not(self._host, port) or (errno.EINVAL, str(error).partition(". Detail")[0])
                    if number == errno.EINVAL and self._credentials.cert:
                        why = (
                            "the certificate cannot be used: cert=, key= and ca= are files in PEM, and the key is the "
                            f"certificate's ({why})"
                        )
                    raise StoreAccessError(number, f"{location} cannot be served: {why}") from error
        if self._service is None:
            raise StoreAccessError(errno.EADDRINUSE, f"{self._host} has no free port to serve at; give one: port=")
        self._address = str(addresses.Address(scheme, self._advertise, self._service.port))
        process_credentials.remember(self._address, self._credentials)
        self._election.announce(self._address, self._credentials)

    def forget(self) -> None:
        """Own nothing, in a forked child: gRPC's threads are the parent's."""
        self._election.forget()
        self._changing = threading.RLock()  # the parent's thread may have had it, and the lock of the event
        self._closed = threading.Event()
        self._closed.set()
        _inherited.append(self._service)  # its end would wait for threads that are not there
        self._service = None


def serve(
    catalog: Catalog,
    host: str,
    port: int,
    *,
    credentials: Credentials,
    advertise: str | None,
    insecure: bool,
) -> Server:
    """Serve a store, or stand by; see `Store.serve`."""
    flight()
    host = addresses.check_host(host, "host")
    port = whole_number(port, "port")
    if not 0 <= port < 1 << 16:
        raise ValueError(f"port must be 0 to 65535, got {port}")
    if not is_usable():
        raise StoreAccessError(
            errno.ENOTSUP,
            "a forked child cannot serve, because gRPC was used before the fork: "
            "start the process by spawn or forkserver",
        )
    if (credentials.cert is None) != (credentials.key is None):
        raise ValueError("cert and key belong together: give both or none")
    if credentials.client_ca and not credentials.cert:
        raise ValueError("ca= asks for certificates of other hosts, and this one has none: give cert= and key= too")
    for field, argument in (("client_ca", "ca"), ("cert", "cert"), ("key", "key")):
        try:
            credentials.read(field)
        except OSError as error:
            raise StoreAccessError(
                error.errno, f"{argument}= cannot be read: {getattr(credentials, field)}: {error.strerror}"
            ) from error
    if not (addresses.is_loopback(host) or credentials.cert or insecure):
        raise ValueError(
            f"host={host!r} can be reached from other machines, and without TLS everybody in between could read the "
            "token and the tables: give cert= and key= (--cert, --key), or insecure=True (--insecure) in a network "
            "that you trust"
        )
    advertise = host if advertise is None else addresses.check_host(advertise, "advertise")
    if addresses.is_wildcard(advertise):
        raise ValueError(
            f"{advertise!r} stands for all addresses of this machine: give the one that other hosts reach, advertise="
        )
    catalog.directory.prepare()
    return Server(catalog, _with_token(catalog, credentials), host, port, advertise)


def _with_token(catalog: Catalog, credentials: Credentials) -> Credentials:
    if credentials.token is not None:
        process_credentials.check_token(credentials.token)
        return credentials
    election = Election(catalog.directory)
    with explained(catalog.directory.root, "serving"):
        if not election.stand():
            raise _served_already(election, catalog.directory.root, "with a token that this process does not know")
        election.withdraw()
    return credentials._replace(token=secrets.token_urlsafe(32))


def _served_already(election: Election, root: Path, how: str) -> StoreAccessError:
    return StoreAccessError(
        errno.EBUSY,
        f"{root} is served already, at {election.previous}, by {election.describe_other()}, {how}. "
        f"To stand by for it, give the same token: token= or ${TOKEN_VARIABLE}",
    )


def _why_not(host: str, port: int) -> tuple[int, str] | None:
    """Why no socket can listen there, which Flight does not say; None if one can."""
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except socket.gaierror as error:
        return errno.EADDRNOTAVAIL, f"{host!r} cannot be resolved ({error.strerror})"
    except OSError as error:
        number = error.errno or errno.EADDRNOTAVAIL
        reasons = {
            errno.EADDRINUSE: "the port is taken",
            errno.EADDRNOTAVAIL: "it is not an address of this host",
            errno.EACCES: "ports below 1024 are for root",
        }
        return number, reasons.get(number, str(error.strerror))
    return None


# They serve until they are closed, though the caller of `serve` keeps none.
_servers: set[Server] = set()
_inherited: list[Any] = []


def _in_child() -> None:
    for server in list(_servers):
        server.forget()
    _servers.clear()


os.register_at_fork(after_in_child=_in_child)
