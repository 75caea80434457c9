"""The query in a command of Flight SQL, as ADBC's and JDBC's drivers send it.

Does not depend on: Flight, what the query asks for.

Flight SQL is a whole database protocol, in Protocol Buffers. This file understands one command of it: the query that
names a table. So a driver in any language can read tables, and nothing else.
"""

from __future__ import annotations

_QUERY_TYPE = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
_BYTES = 2  # the wire type of texts, bytes and messages


def query_of(command: bytes) -> bytes | None:
    """The query of a CommandStatementQuery; None if the command is something else."""
    outer = _fields(command)
    if outer is None or outer.get(1) != _QUERY_TYPE:
        return None
    inner = _fields(outer.get(2, b""))
    return None if inner is None else inner.get(1)


def _fields(message: bytes) -> dict[int, bytes] | None:
    """The fields of a message that are texts, bytes or messages; None if the message is something else."""
    result: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        head = _varint(message, at)
        if head is None or head[0] & 7 != _BYTES:
            return None
        length = _varint(message, head[1])
        if length is None or length[1] + length[0] > len(message):
            return None
        at = length[1] + length[0]
        result[head[0] >> 3] = message[length[1] : at]
    return result


def _varint(message: bytes, at: int) -> tuple[int, int] | None:
    """A number, and where it ends."""
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(message):
            return None
        value |= (message[at] & 0x7F) << shift
        at += 1
        if message[at - 1] < 0x80:
            return value, at
    return None
