"""The levels of a MultiIndex as other programs see them: a value for each row, as PyArrow would store it."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.interop import pandas as internals

ROWS = 6
LEVELS = {
    "numbers": np.arange(3),
    "floats": [0.5, -0.0, 2.5],
    "booleans": [False, True],
    "times": pd.date_range("2026", periods=3, unit="ns"),
    "durations": pd.to_timedelta([1, 2, 3], unit="s"),
    "times in a zone": pd.date_range("2026", periods=3, tz="Europe/Paris"),
    "a range": pd.RangeIndex(5, 8),
    "text": ["a", "bc", ""],
    "text with pd.NA": pd.Index(["a", "bc"], dtype="string[pyarrow]"),
    "categories": pd.CategoricalIndex(["x", "y"]),
    "masked": pd.Index([1, 2, 3], dtype="Int64"),
}  # fmt: skip
# What this file's own code takes, and not pandas'.
OWN = {"numbers", "floats", "booleans", "times", "durations", "a range", "text", "text with pd.NA"}


def frame_of(level, codes):
    index = pd.MultiIndex(levels=[level, ["p", "q"]], codes=[codes, [0, 1] * (ROWS // 2)], names=["level", None])
    return pd.DataFrame({"x": np.arange(float(len(index)))}, index=index)


def assert_as_pyarrow(store, frame):
    with store.put("t", frame) as snapshot:
        stored, expected = snapshot.to_arrow(), pa.Table.from_pandas(frame)
        assert stored.column_names == expected.column_names
        for name in stored.column_names:
            column = expected[name]
            large = pa.types.is_string(column.type)
            assert stored[name].equals(column.cast(pa.large_string()) if large else column), name
        ours, theirs = (json.loads(table.schema.metadata[b"pandas"]) for table in (stored, expected))
        assert ours == theirs
        pd.testing.assert_frame_equal(snapshot.to_pandas(), frame)


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_is_stored_as_pyarrow_stores_it(folder, name, monkeypatch):
    levels_by_pandas = []
    real = internals.level_in_rows
    monkeypatch.setattr(
        internals, "level_in_rows", lambda index, number: (levels_by_pandas.append(number), real(index, number))[1]
    )
    assert_as_pyarrow(cn.Store(folder / "s"), frame_of(LEVELS[name], [0, 1, 1, 0, 1, 0]))
    assert levels_by_pandas == ([] if name in OWN else [0])


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_with_nulls_is_left_to_pandas(folder, name):
    assert_as_pyarrow(cn.Store(folder / "s"), frame_of(LEVELS[name], [0, -1, 1, 0, 1, -1]))


def test_codes_that_lead_nowhere_are_an_error(folder):
    index = pd.MultiIndex(levels=[[1, 2], ["p"]], codes=[[0, 2], [0, 0]], verify_integrity=False)
    with pytest.raises(IndexError):
        cn.Store(folder / "s").put("t", pd.DataFrame({"x": [1, 2]}, index=index))
    assert not cn.Store(folder / "s").exists("t")
