"""The comparison with other ways: real publishers and readers, differences that are found, pages that are drawn."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="the sdist has no benchmarks")
sys.path.insert(0, str(ROOT))
FRAME = pd.DataFrame({"x": [1.0, None, 3.0] * 100, "n": range(300)})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "frame.pickle"
    FRAME.to_pickle(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colonnade_", "pickle_pipe", "shared_memory_"])
def test_a_turn(name, file):
    from benchmarks.compare_turn import turn

    figures = turn(name, file, readers=2, publishes=3, survival=True)
    assert "error" not in figures
    assert [len(figures[key]) for key in ("publish", "again", "open", "scan", "private")] == [1, 1, 2, 2, 2]
    assert figures["dtypes"] == {}
    assert list(figures["machine"]) == ["1", "2"]
    outlives = name == "colonnade_"
    assert figures["survival"] == {
        "a reader is killed: new readers open it": True,
        "the publisher is killed: readers read on": True,
        "the publisher is killed: new readers open it": outlives,
    }
    # Plain shared memory is one array for all: what a reader writes, the others see.
    assert figures["seen by others"] == (name == "shared_memory_")


@pytest.mark.slow
def test_an_error_is_a_figure(tmp_path):
    from benchmarks.compare_turn import turn

    pd.DataFrame({"s": ["a", "b"]}).to_pickle(tmp_path / "strings")
    figures = turn("shared_memory_", tmp_path / "strings", readers=1)
    assert figures["error"] == "TypeError: a column of dtype str is not a NumPy array of fixed width"


def test_rounds_are_added():
    from benchmarks.compare import merged

    first = {"open": [1.0], "machine": {"1": 10, "2": 20}, "survival": {"a": True}}
    second = {"open": [2.0], "machine": {"1": 99}}
    assert merged({}, first) == first
    assert merged(first, second) == first | {"open": [1.0, 2.0]}


def test_differences_are_found():
    from benchmarks.compare_process import differences

    assert differences(FRAME, FRAME.copy()) == {"dtypes": {}, "values": []}
    other = FRAME.astype({"n": "float64"})
    assert differences(FRAME, other) == {"dtypes": {"int64 to float64": 1}, "values": []}
    other.iloc[5, 1] = -1
    assert differences(FRAME, other)["values"] == ["n"]
    assert differences(FRAME, FRAME.set_axis(range(1, 301)))["values"] == ["index"]
    assert differences(FRAME, FRAME.rename(columns={"n": "m"}))["values"] == ["columns: x, m"]


def test_reading_reads_everything():
    from benchmarks.compare_process import read_all

    frame = pd.DataFrame({"x": [1.0, 2.0], "s": ["a", "b"], "b": [True, False], "c": pd.Categorical(["u", "v"])})
    number = read_all(frame)
    for column, value in {"x": 3.0, "s": "c", "b": False, "c": "v"}.items():
        other = frame.copy()
        other.loc[0, column] = value
        assert read_all(other) != number, column


def test_tables_show_what_was_measured():
    from benchmarks.compare_pages import front, publishing_targets, targets, times, way

    ours = {"publish": [0.2], "again": [0.1], "open": [0.0015, 0.001], "scan": [0.01], "private": [0], "dtypes": {}}
    joblib = ours | {"open": [0.1], "again": [0.5], "private": [80e6]}
    ray = joblib | {"open": [0.05], "dtypes": {"str to object": 1}}
    pipe = joblib | {"publish": [0.0], "open": [1.0]}
    broken = {"error": "ValueError: a | b"}
    results = {"colonnade_": ours, "joblib_": joblib, "ray_": ray, "vineyard_": broken, "pickle_pipe": pipe}
    table = times(results)
    assert "| colonnade | 200 ms | 100 ms | 1.25 ms (1.00 to 1.50) | 10.0 ms |" in table
    assert "other dtypes: str to object" in table
    assert "fails: `ValueError: a / b`" in table
    # Ray's other dtypes do not compete, and neither does a pipe, which publishes nothing.
    assert "| 80.0x | 0 MB | 80.0 MB |" in targets({"mixed": results})
    assert "| open 5 million mixed rows as pandas | 1.25 ms | 100 ms (joblib, mmap_mode='c') |" in front(
        {"mixed": results}
    )
    assert "| 200 ms | 200 ms, joblib, mmap_mode='c' | 100 ms | 500 ms | 5.0x |" in publishing_targets(
        {"mixed": results}
    )
    # What misses a target is bold.
    slow = ours | {"publish": [0.3], "again": [0.4], "private": [90e6], "open": [0.02]}
    assert "| **5.0x** | **90.0 MB** | 80.0 MB |" in targets({"mixed": results | {"colonnade_": slow}})
    line = publishing_targets({"mixed": results | {"colonnade_": slow}})
    assert "| **300 ms** | 200 ms, joblib, mmap_mode='c' | 400 ms | 500 ms | **1.2x** |" in line
    assert way({"mixed": results}, "joblib_") == (
        "*Measured.* 5 million mixed rows: published again in 500 ms (Colonnade 100 ms), "
        "opened in 100 ms (Colonnade 1.25 ms), private memory of a reader 80.0 MB (Colonnade 0 MB)."
    )
    assert way({"mixed": results}, "vineyard_") == "*Measured.* 5 million mixed rows: fails."


def test_the_pages_are_of_the_newest_results():
    """README and docs show the figures of the newest file of results; no figure is typed by hand."""
    from benchmarks import compare_pages as pages

    files = sorted((ROOT / "benchmarks" / "results").glob("20*.json"))
    if not files:
        pytest.skip("no results have been published")
    results = json.loads(files[-1].read_text())
    assert pages.PAGE.read_text() == pages.page(results)
    for path in pages.FILLED:
        assert path.read_text() == pages.filled(path.read_text(), pages.tables(results)), path
    # The front pages say: in one or two milliseconds.
    opens = [pages.middle(each["colonnade_"], "open") for each in results["workloads"].values()]
    assert max(opens) < 2.5e-3
