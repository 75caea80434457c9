"""Whether a history of concurrent operations on one name can be explained by an order in which they happened one after the other.

A history is a list of operations, each with the time when it was called and the time when it returned; an operation of a
process that was killed has no return, and may have happened at any time after its call, or never. The checker searches for
an order that respects these times and in which every result is the right one (Wing and Gong's algorithm, with Lowe's memory
of states that were seen).

Does not depend on: stores, processes.
"""

import math
from typing import NamedTuple

FOUND_NOTHING, CONFLICT, UNKNOWN = "nothing", "conflict", "unknown"


class Operation(NamedTuple):
    """``kind`` is put, cas, get or delete. ``value`` is what is put; ``expect`` the version of a cas.

    ``result`` is a version (put, cas), a pair of version and value (get), None (delete), or one of the words above.
    """

    kind: str
    value: int | None
    expect: int | None
    called: float
    returned: float
    result: object


def apply(operation, state):
    """The state after an operation, and the operation's result. A state is None, or a pair of version and value."""
    version = state[0] if state else 0
    if operation.kind == "get":
        return state, state or FOUND_NOTHING
    if operation.kind == "delete":
        return None, None if state else FOUND_NOTHING
    if operation.kind == "cas" and operation.expect != version:
        return state, CONFLICT
    return (version + 1, operation.value), version + 1


def is_linearizable(history, state=None):
    """Whether some order of the operations explains a history that began in this state."""
    history = sorted(history, key=lambda operation: operation.called)
    states = set()
    stack = [(frozenset(range(len(history))), state)]
    while stack:
        open_operations, state = stack.pop()
        if (open_operations, state) in states:
            continue
        states.add((open_operations, state))
        if all(history[number].result == UNKNOWN for number in open_operations):
            return True
        earliest = min(
            history[number].returned if history[number].result != UNKNOWN else math.inf for number in open_operations
        )
        for number in open_operations:
            operation = history[number]
            if operation.called <= earliest:
                after, result = apply(operation, state)
                if operation.result in (UNKNOWN, result):
                    stack.append((open_operations - {number}, after))
    return False
