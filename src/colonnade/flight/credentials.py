"""What a host proves to another: the token, and the certificates of TLS.

Does not depend on: Flight, where the hosts are.

They are this process's own: what `use` gave, else environment variables, which child processes inherit. They are in no
reference, no ticket and no pickle, because these end up in logs and in files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

TOKEN_VARIABLE = "COLONNADE_TOKEN"  # noqa: S105 -- the name of a variable
_VARIABLES = {"token": TOKEN_VARIABLE, "ca": "COLONNADE_CA", "cert": "COLONNADE_CERT", "key": "COLONNADE_KEY"}


class Credentials(NamedTuple):
    """A token and the files of TLS, in PEM.

    ``ca`` holds the certificates that other hosts' must be signed by (None: those that gRPC comes with), ``cert`` and
    ``key`` are this host's own.
    """

    token: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def read(self, field: str) -> bytes | None:
        """The content of the file of a field; None where there is none.

        Raises
        ------
        OSError
            If the file cannot be read.
        """
        path = getattr(self, field)
        return None if path is None else Path(path).read_bytes()

    def or_else(self, other: Credentials) -> Credentials:
        """These, and the other's where one is missing."""
        return Credentials(*(mine if mine is not None else its for mine, its in zip(self, other, strict=True)))

    def __repr__(self) -> str:
        token = "***" if self.token else None
        return f"Credentials(token={token!r}, ca={self.ca!r}, cert={self.cert!r}, key={self.key!r})"


_chosen = Credentials()
# Of the addresses where this process serves.
_own: dict[str, Credentials] = {}


def use(credentials: Credentials) -> None:
    """Use these in this process from now on, before those of the environment."""
    global _chosen  # noqa: PLW0603 -- they are the process's
    _chosen = credentials


def current(address: str = "") -> Credentials:
    """The credentials of this process, for a host: at an address where this process serves, what it serves with."""
    if address in _own:
        return _own[address]
    return _chosen.or_else(Credentials(**{field: os.environ.get(name) or None for field, name in _VARIABLES.items()}))


def remember(address: str, credentials: Credentials) -> None:
    """Use these for an address where this process serves."""
    _own[address] = credentials


def forget(address: str) -> None:
    """Forget an address where this process serves no longer."""
    _own.pop(address, None)


def as_environment(credentials: Credentials) -> dict[str, str]:
    """The environment variables that give these to a child process."""
    return {_VARIABLES[field]: value for field, value in credentials._asdict().items() if value is not None}
