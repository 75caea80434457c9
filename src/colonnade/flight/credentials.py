"""What a host proves to another: the token, and the certificates of TLS.

Does not depend on: Flight, where the hosts are.

They are this process's own: what `use` gave, else environment variables, which child processes inherit; else those of
the process that serves the default store of this host, in a file of the store that only its user may read. They are in
no reference, no ticket and no pickle, because these end up in logs and in files.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from colonnade.storage import paths

TOKEN_VARIABLE = "COLONNADE_TOKEN"  # noqa: S105 -- the name of a variable
_SHORTEST = 16
_VARIABLES = {"token": TOKEN_VARIABLE, "ca": "COLONNADE_CA", "cert": "COLONNADE_CERT", "key": "COLONNADE_KEY"}


class Credentials(NamedTuple):
    """A token and the files of TLS, in PEM, or what is in them.

    ``ca`` holds the certificates that those of servers must be signed by (None: those that gRPC comes with). ``cert``
    and ``key`` are this host's own, as a server and as a client. ``client_ca`` is for a server alone: the certificates
    that those of its clients must be signed by (None: a client needs no certificate).
    """

    token: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    # The name in the certificates of other hosts, where it is not that of the address.
    peer: str | None = None
    client_ca: str | None = None

    def read(self, field: str) -> bytes | None:
        """Read the file that a field names: ``ca``, ``client_ca``, ``cert`` or ``key``. None if it is not set.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        path: str | None = getattr(self, field)
        if path is None:
            return None
        return path.encode() if "-----BEGIN" in path else Path(path).read_bytes()

    def or_else(self, other: Credentials) -> Credentials:
        """These, and the other's where one is missing."""
        return Credentials(*(mine if mine is not None else its for mine, its in zip(self, other, strict=True)))

    def __repr__(self) -> str:
        token = "***" if self.token else None
        return f"Credentials(token={token!r}, tls={self.cert is not None or self.ca is not None})"


_of_process = Credentials()
# By the address where this process serves.
_own: dict[str, Credentials] = {}


def use(credentials: Credentials) -> None:
    """Use these credentials in this process from now on, instead of those of the environment."""
    global _of_process  # noqa: PLW0603 -- they are the process's
    _of_process = credentials


def current(address: str = "") -> Credentials:
    """The credentials for a host; for an address of this process itself, those that it serves with."""
    if address in _own:
        return _own[address]
    own = _of_process.or_else(of_environment())
    return own if own.token else own.or_else(of_store(paths.default_store()))


def of_environment() -> Credentials:
    """The credentials in the environment, without the newline with which files of secrets often end."""
    return Credentials(**{field: os.environ.get(name, "").strip() or None for field, name in _VARIABLES.items()})


def check_token(token: str) -> str:
    """Return a token if it is valid.

    Raises
    ------
    ValueError
    """
    if len(token) < _SHORTEST or not (token.isascii() and token.isprintable()) or token != token.strip():
        raise ValueError(
            f"a token is {_SHORTEST} or more printable ASCII characters without spaces around them, "
            "as of secrets.token_urlsafe()"
        )
    return token


def of_store(store: Path) -> Credentials:
    """The credentials of the process that serves a store, if that store is this user's."""
    try:
        fd = os.open(store / paths.CREDENTIALS, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return Credentials()
    try:
        if os.fstat(fd).st_uid != os.geteuid():
            return Credentials()
        return Credentials(*json.loads(os.read(fd, 1 << 16)))
    except (OSError, ValueError, TypeError):
        return Credentials()
    finally:
        os.close(fd)


def leave_in_store(root: int, credentials: Credentials) -> None:
    """Leave credentials in a store, for the processes of this user on this host. ``root``: the store's directory."""
    temporary = paths.random_name(f"{paths.CREDENTIALS}-")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=root)
    try:
        os.write(fd, json.dumps(credentials).encode())
        os.rename(temporary, paths.CREDENTIALS, src_dir_fd=root, dst_dir_fd=root)
    except BaseException:
        os.unlink(temporary, dir_fd=root)
        raise
    finally:
        os.close(fd)


def remove_from_store(root: int) -> None:
    """Remove them."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(paths.CREDENTIALS, dir_fd=root)


def remember(address: str, credentials: Credentials) -> None:
    """Use these for an address where this process serves."""
    _own[address] = credentials


def forget(address: str) -> None:
    """Forget an address where this process serves no longer."""
    _own.pop(address, None)
