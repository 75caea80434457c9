"""Compare-and-swap: the snapshot that a name must lead to for a put to be made.

Does not depend on: how a put is made.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from colonnade.errors import ConflictError, brief_repr
from colonnade.format.seal import Seal


class Versioned(Protocol):
    """A snapshot that the caller expects to be the newest one of its name."""

    @property
    def version(self) -> int: ...

    @property
    def identity(self) -> int: ...


class Expected(NamedTuple):
    """The snapshot that a name must lead to for a put to be made.

    ``version`` 0: none. ``identity`` distinguishes two snapshots of one version, because versions start again at 1
    after a delete; None: any.
    """

    version: int
    identity: int | None = None

    @classmethod
    def of(cls, expectation: int | Versioned) -> Expected:
        """Read ``expect_version=``: a number, or the Snapshot itself."""
        if isinstance(expectation, int):
            return cls(expectation)
        if not (hasattr(expectation, "version") and hasattr(expectation, "identity")):
            raise ValueError(f"expect_version must be a version or a Snapshot, got {brief_repr(expectation)}")
        return cls(expectation.version, expectation.identity)

    def check(self, name: str, present: Seal | None) -> None:
        """See that a name's newest snapshot is the expected one.

        Raises
        ------
        ConflictError
        """
        version = present.version if present else 0
        if version != self.version:
            state = f"is at version {version}" if present else "does not exist"
            raise ConflictError(f"{name!r} {state}, and version {self.version} was expected; read it again and retry")
        if present and self.identity not in (None, present.identity):
            raise ConflictError(
                f"{name!r} was deleted and put again: it is at version {version} as expected, and it is another "
                "snapshot; read it again and retry"
            )
