"""The gates: a count that is more than a tenth above the baseline fails, and what other versions counted is not compared."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="the sdist has no benchmarks")
sys.path.insert(0, str(ROOT))
VERSIONS = {
    "machine": "x86_64",
    "kernel": "6.18",
    "groups": "version 2 1",
    "python": "3.11",
    "pandas": "3.1",
    "pyarrow": "26",
    "compiler": "12",
}


def failures(kind, before, now, here=VERSIONS):
    from benchmarks.gates.__main__ import compare

    return compare({kind: {"put": now}}, here, {"versions": VERSIONS, "counts": {kind: {"put": before}}})


@pytest.mark.parametrize("kind", ["instructions", "system calls"])
def test_more_than_a_tenth_fails(kind):
    assert failures(kind, 1000, 1100) == []
    assert failures(kind, 1000, 900) == []
    assert failures(kind, 1000, 1101) == [f"{kind} of put: 1,101, and 1,000 in the baseline"]
    assert failures(kind, 10, 11) == []
    assert failures(kind, 9, 10)  # one more of nine


@pytest.mark.parametrize(("kind", "few"), [("page faults", 16), ("allocations", 8), ("bytes", 1024)])
def test_a_few_more_of_few_are_allowed(kind, few):
    assert failures(kind, 0, few) == []
    assert failures(kind, 0, few + 1)
    assert failures(kind, 100_000, 110_000) == []
    assert failures(kind, 100_000, 110_001)


def test_counts_of_other_versions_are_not_compared(capsys):
    assert failures("allocations", 1000, 2000, VERSIONS | {"pandas": "3.2"}) == []
    assert "pandas 3.1, here 3.2" in capsys.readouterr().out
    assert failures("system calls", 1000, 2000, VERSIONS | {"pandas": "3.2"})
    assert failures("system calls", 1000, 2000, VERSIONS | {"kernel": "6.19"}) == []
    assert failures("bytes", 1000, 5000, VERSIONS | {"groups": "version 2 3"}) == []


def test_a_new_operation_passes():
    from benchmarks.gates.__main__ import compare

    assert compare({"bytes": {"put": 1}}, VERSIONS, {"versions": VERSIONS, "counts": {}}) == []


def test_counts_repeat(tmp_path):
    """The same count twice, and one more system call is seen."""
    from benchmarks.gates.process import calls, least, moved

    def operation():
        (tmp_path / "file").write_bytes(bytes(1000))

    def more():
        operation()
        (tmp_path / "file").write_bytes(bytes(1000))

    assert least(calls, operation) == least(calls, operation) < least(calls, more)
    assert least(moved, operation) == 1000
    assert least(moved, more) == 2000
