"""The order in which the processes of `make test` take files: those with the most slow tests first.

A file is run by one process. If a long one came last, the other process would have nothing to do meanwhile.
"""

from collections import Counter

import pytest


def long_files_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """Order files by their number of slow tests; the tests of a file stay in their order."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    return sorted(items, key=lambda item: -slow[item.path])
