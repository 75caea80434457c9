"""PyArrow's Flight, where this PyArrow has it; and forked children, where gRPC cannot be used.

Does not depend on: what is served or fetched.
"""

from __future__ import annotations

import os
import sys
from typing import Any

# gRPC's threads are not there in a child that was forked while they ran: its calls wait for ever (tried: PyArrow 26,
# with and without GRPC_ENABLE_FORK_SUPPORT).
_unusable = False


def flight() -> Any:
    """The module ``pyarrow.flight``.

    Raises
    ------
    ModuleNotFoundError
    """
    # gRPC prints what its errors say as well, at the terminal of the user. It reads this when it is used first.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import pyarrow.flight as module
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "tables of other hosts need a PyArrow with Flight: pip install pyarrow (conda: libarrow-flight)"
        ) from error
    return module


def is_usable() -> bool:
    """Whether this process can make Flight calls: it is not a forked child of a process that may have made some."""
    return not _unusable


def _in_child() -> None:
    global _unusable  # noqa: PLW0603 -- a fact about the process
    _unusable = _unusable or "pyarrow._flight" in sys.modules


os.register_at_fork(after_in_child=_in_child)
