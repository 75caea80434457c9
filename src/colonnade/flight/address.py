"""Addresses of hosts, and of tables on them: ``grpc://host:port`` and ``grpc+tls://host:port/nyc/flights``.

Does not depend on: Flight.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

from colonnade.storage import paths

PLAIN, TLS = "grpc", "grpc+tls"
_ADDRESS = re.compile(r"(?P<scheme>grpc|grpc\+tls)://(?P<host>\[[^\]/]*\]|[^:/]+):(?P<port>\d{1,5})(?:/(?P<name>.*))?")
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Address(NamedTuple):
    """Where a host serves its store."""

    scheme: str
    host: str
    port: int

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted, and the host proves who it is."""
        return self.scheme == TLS

    @property
    def is_loopback(self) -> bool:
        """Whether only processes of this machine reach it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"


def is_url(name: str) -> bool:
    """Whether what stands in place of a name is the address of a table on another host."""
    return isinstance(name, str) and "://" in name


def parse(url: str) -> tuple[Address, str | None]:
    """Read an address, and the table's name if there is one.

    Raises
    ------
    ValueError
        If it is not an address; InvalidNameError if what follows is not a name.
    """
    match = _ADDRESS.fullmatch(url)
    host = None if match is None else _bare(match["host"])
    if match is None or host is None or not 0 < int(match["port"]) < 1 << 16:
        raise ValueError(
            f"{url!r} is not the address of a table on another host: grpc://host:port/name, or grpc+tls://host:port/name"
            "; an IPv6 address stands in brackets: grpc://[::1]:port/name"
        )
    name = match["name"] or None
    return Address(match["scheme"], host, int(match["port"])), None if name is None else paths.check_name(name)


def check_host(host: str, argument: str) -> str:
    """Return a host's name or number; an IPv6 address without brackets.

    Raises
    ------
    TypeError
        If it is not a string.
    ValueError
        If it cannot be part of an address.
    """
    if not isinstance(host, str):
        raise TypeError(f"{argument} must be a string, got {host!r}")
    bare = _bare(host)
    if bare is None:
        raise ValueError(f"{argument}={host!r} is not the name or number of a host, as in 'node7' or '10.0.0.5'")
    return bare


def _bare(host: str) -> str | None:
    """The name or number of a host without brackets; None if it is neither."""
    bracketless = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" not in bracketless and host == bracketless:
        return host if _HOST_NAME.fullmatch(host) else None
    try:
        number = ipaddress.IPv6Address(bracketless)
    except ValueError:
        return None
    # A zone (fe80::1%eth0) means something on one host alone, and is not a part of a URI.
    return None if number.scope_id else bracketless


def bracketed(host: str) -> str:
    """A host as it stands in an address: an IPv6 number in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host's name or number is this machine's own, which no other machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_wildcard(host: str) -> bool:
    """Whether it means all addresses of this machine, as 0.0.0.0 does. Nobody can connect to such an address."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
