"""What `--quick` leaves out, the option of `make check`: slow tests, most cases of large tables, most random examples.

A change that breaks a kernel or a rule shows in many cases at once, so some cases of each test find it within
minutes. `make test` runs all of them.
"""

import math

import pytest
from hypothesis import settings

# So many cases of one test are run, spread evenly over its table; of a large table half of its square root.
CASES = 4


def examples(count: int) -> settings:
    """The number of random examples of a property. The profile's ``max_examples`` is the percentage of them that is run."""
    return settings(max_examples=max(10, count * settings().max_examples // 100))


def evenly(cases: list, most: int) -> list:
    """At most so many of the cases: the first, the last, and some at even distances between them."""
    if len(cases) <= most:
        return cases
    return [cases[round(place * (len(cases) - 1) / (most - 1))] for place in range(most)]


def select(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests of the quick lane, and those that it leaves out, each in their order."""
    functions: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("slow") is None:
            functions.setdefault(item.nodeid.partition("[")[0], []).append(item)
    ids = {id(case) for cases in functions.values() for case in evenly(cases, max(CASES, math.isqrt(len(cases)) // 2))}
    return [item for item in items if id(item) in ids], [item for item in items if id(item) not in ids]
