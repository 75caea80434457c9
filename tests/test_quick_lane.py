"""The quick lane of `make check` has cases of every test that is not slow; `make test` begins with the slow files."""

from types import SimpleNamespace

import pytest
from hypothesis import settings

from support.order import long_files_first
from support.quick_lane import CASES, evenly, examples, select


@pytest.mark.parametrize("count", [0, 1, CASES, CASES + 1, 3000])
def test_cases_are_spread_from_the_first_to_the_last(count):
    cases = list(range(count))
    quick_cases = evenly(cases, CASES)
    assert len(quick_cases) == len(set(quick_cases)) == min(count, CASES)
    assert quick_cases[:1] == cases[:1]
    assert quick_cases[-1:] == cases[-1:]
    steps = [later - earlier for earlier, later in zip(quick_cases, quick_cases[1:], strict=False)]
    assert not steps or max(steps) - min(steps) <= 1


def item(nodeid, *, slow=False):
    path = nodeid.partition("::")[0]
    return SimpleNamespace(
        nodeid=nodeid, path=path, get_closest_marker=lambda name: name if slow and name == "slow" else None
    )


def test_every_function_is_there_and_no_slow_one():
    items = [item(f"t.py::many[{i}]") for i in range(400)]
    items += [item("t.py::one"), item("docs/a.md::line:1"), item("docs/a.md::line:9"), item("t.py::slow", slow=True)]
    selection, left_out = select(items)
    names = [each.nodeid for each in selection]
    assert len(selection) == 10 + 3
    assert names[-3:] == ["t.py::one", "docs/a.md::line:1", "docs/a.md::line:9"]
    assert sorted(map(id, selection + left_out)) == sorted(map(id, items))


def test_files_with_the_most_slow_tests_come_first():
    items = [item("a.py::one"), item("b.py::one"), item("b.py::slow", slow=True), item("c.py::one", slow=True)]
    items += [item("d.md::line:1"), item("c.py::two", slow=True), item("d.md::line:9")]
    names = [each.nodeid for each in long_files_first(items)]
    assert names[:4] == ["c.py::one", "c.py::two", "b.py::one", "b.py::slow"]
    assert names[4:] == ["a.py::one", "d.md::line:1", "d.md::line:9"]


def test_the_profile_says_how_many_examples():
    percent = settings().max_examples
    assert examples(1000).max_examples == 10 * percent
    assert examples(20).max_examples == max(10, 20 * percent // 100)
