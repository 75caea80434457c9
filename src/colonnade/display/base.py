"""The summary of an object, chosen by its type.

Does not depend on: who draws a summary.
"""

from __future__ import annotations

from functools import singledispatch

from colonnade.display import explanation, snapshot, store, usage
from colonnade.display.summary import Summary
from colonnade.explanation import Explanation
from colonnade.snapshot import Snapshot
from colonnade.storage.usage import Usage
from colonnade.store import Store, Tables


@singledispatch
def summary_of(shown: object) -> Summary:
    """The summary of an object of one of the types below.

    Raises
    ------
    TypeError
        For any other object.
    """
    raise TypeError(f"a {type(shown).__name__} has no summary")


summary_of.register(Explanation, explanation.summary)
summary_of.register(Snapshot, snapshot.summary)
summary_of.register(Store, store.summary)
summary_of.register(Tables, store.listing)
summary_of.register(Usage, usage.summary)
