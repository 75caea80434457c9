"""The pandas metadata that is kept for one frame and used for the next: it is what PyArrow would make of the next."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format.write import kept_metadata

ROWS = 3
BASE = {"a": [1, 2, 3], "b": [0.5, None, 1.5], "s": ["x", "y", None]}


def frames():
    """Frames that differ from the first in one respect each, which PyArrow's metadata tells apart."""
    base = pd.DataFrame(BASE)
    times = pd.date_range("2026", periods=ROWS)
    return {
        "the frame": base,
        "other values": base.assign(a=[7, 8, 9]),
        "another dtype": base.assign(a=base["a"].astype("int32")),
        "a masked dtype": base.assign(a=base["a"].astype("Int64")),
        "an Arrow dtype": base.assign(a=base["a"].astype(pd.ArrowDtype(pa.int64()))),
        "another kind of text": base.assign(s=base["s"].astype("string")),
        "objects": base.assign(s=[b"x", b"y", None]),
        "other objects": base.assign(s=np.array([[1], [2], None], object)),
        "another name": base.rename(columns={"a": "z"}),
        "another order": base[["b", "a", "s"]],
        "a category": base.assign(s=pd.Categorical(["x", "y", "x"])),
        "more categories": base.assign(s=pd.Categorical(["x", "y", "x"], categories=["x", "y", "z"])),
        "ordered categories": base.assign(s=pd.Categorical(["x", "y", "x"], ordered=True)),
        "times": base.assign(a=times),
        "times of another unit": base.assign(a=times.as_unit("s")),
        "times in a zone": base.assign(a=times.tz_localize("UTC")),
        "times in another zone": base.assign(a=times.tz_localize("Europe/Paris")),
        "another range": base.set_axis(pd.RangeIndex(5, 8)),
        "a named range": base.rename_axis("rows"),
        "an index": base.set_axis(pd.Index([1, 2, 3], name="rows")),
        "an index of text": base.set_axis(pd.Index(["p", "q", "r"], name="rows")),
        "an index of times": base.set_axis(times),
        "two levels": base.set_index(["a", "s"]),
        "named labels": base.rename_axis(columns="labels"),
        "numbers as labels": base.set_axis(pd.RangeIndex(3), axis=1),
        "other numbers as labels": base.set_axis(pd.RangeIndex(1, 4), axis=1),
        "labels of objects": base.set_axis(pd.Index(["a", 1, None], dtype=object), axis=1),
        "a label that is missing": base.set_axis(pd.Index(["a", "b", None], dtype="str"), axis=1),
        "a label called nan": base.set_axis(pd.Index(["a", "b", "nan"]), axis=1),
        "attributes": base.assign().pipe(lambda df: (df.attrs.update(source="here"), df)[1]),
    }


def stored_metadata(store, frame):
    """What a put writes: without the version of the writer, which is the same."""
    with store.put("t", frame) as snapshot:
        return json.loads(snapshot.schema.metadata[b"pandas"])


@pytest.fixture
def store(folder, monkeypatch):
    monkeypatch.setattr(kept_metadata, "_cache", {})
    return cn.Store(folder / "s")


def test_each_frame_has_its_own(store, monkeypatch):
    metadata = {name: stored_metadata(store, frame) for name, frame in frames().items()}
    again = {name: stored_metadata(store, frame) for name, frame in reversed(frames().items())}
    monkeypatch.setattr(kept_metadata, "_key", lambda *_: None)
    fresh = {name: stored_metadata(store, frame) for name, frame in frames().items()}
    assert metadata == fresh
    assert again == fresh


def test_it_is_made_once_for_frames_that_differ_in_values(store, monkeypatch):
    result = []
    real = kept_metadata.pandas_metadata
    monkeypatch.setattr(kept_metadata, "pandas_metadata", lambda *args: (result.append(1), real(*args))[1])
    for name in ("the frame", "other values", "the frame"):
        stored_metadata(store, frames()[name])
    assert len(result) == 1
    stored_metadata(store, frames()["another dtype"])
    assert len(result) == 2


def test_it_is_bounded(store):
    for number in range(kept_metadata._MOST_FRAMES + 5):
        stored_metadata(store, pd.DataFrame({f"column {number}": [1]}))
    assert len(kept_metadata._cache) == kept_metadata._MOST_FRAMES
    stored_metadata(store, pd.DataFrame({"last": [1]}))
    assert len(kept_metadata._cache) == kept_metadata._MOST_FRAMES
    kept_metadata._cache.clear()
    wide = pd.DataFrame(np.zeros((1, kept_metadata._MOST_COLUMNS + 1)), columns=[f"c{i}" for i in range(1001)])
    stored_metadata(store, wide)
    assert not kept_metadata._cache
