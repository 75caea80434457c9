"""What is kept of one frame and used for the next, pandas metadata and envelope, is what PyArrow would make of the next."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format.write import kept_envelope, kept_metadata, table
from colonnade.format.write.plan import plan
from colonnade.format.write.table import lay_out
from colonnade.recent import Recent

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
    monkeypatch.setattr(kept_metadata, "_KEPT", Recent(50_000))
    return cn.Store(folder / "s")


def test_each_frame_has_its_own(store, monkeypatch):
    metadata = {name: stored_metadata(store, frame) for name, frame in frames().items()}
    again = {name: stored_metadata(store, frame) for name, frame in reversed(frames().items())}
    monkeypatch.setattr(kept_metadata, "signature", lambda *_: None)
    fresh = {name: stored_metadata(store, frame) for name, frame in frames().items()}
    assert metadata == fresh
    assert again == fresh


def test_it_is_made_once_for_frames_that_differ_in_values(store, monkeypatch):
    result = []
    real = kept_metadata.pandas_metadata
    monkeypatch.setattr(kept_metadata, "pandas_metadata", lambda *args: (result.append(1), real(*args))[1])
    for name in ("the frame", "other values", "another range", "the frame"):
        stored_metadata(store, frames()[name])
    assert len(result) == 1
    stored_metadata(store, frames()["another dtype"])
    assert len(result) == 2


def stored_file(store, frame):
    """A stored file without checksums and seal, in which time and identity stand."""
    with store.put("t", frame) as snapshot:
        data = snapshot.path.read_bytes()
    placement = lay_out(plan(frame))
    return data[: placement.end] + data[placement.footer_at :]


def wide(labels, values=0.0):
    return pd.DataFrame(np.full((2, 2_000), values), columns=[f"{labels}{i}" for i in range(2_000)])


def test_an_envelope_is_that_of_its_frame(store, monkeypatch):
    kinds = [*frames().values(), wide("a"), wide("b"), wide("a", np.nan), wide("a").astype("float32"), wide("a")[:0]]
    kinds += [wide("a").assign(a7=1, a9=2), wide("a").assign(a7=1, a8=2), wide("a")[:0].assign(a7=[], a9=[])]
    stored = [stored_file(store, frame) for frame in kinds]
    again = [stored_file(store, frame) for frame in reversed(kinds)][::-1]
    monkeypatch.setattr(kept_envelope, "_KEPT", Recent(0))
    fresh = [stored_file(store, frame) for frame in kinds]
    for number, files in enumerate(zip(stored, again, fresh, strict=True)):
        assert len(set(files)) == 1, number


def test_an_envelope_is_written_once_for_frames_that_differ_in_values(store, monkeypatch):
    monkeypatch.setattr(kept_envelope, "_KEPT", Recent(1 << 20))
    result = []
    real = table.write_envelope
    monkeypatch.setattr(table, "write_envelope", lambda *args: (result.append(1), real(*args))[1])
    for text in ("x", "y", "z"):
        stored_file(store, pd.DataFrame({"a": [1, 2], "s": [text, None]}))
    assert len(result) == 1
    stored_file(store, pd.DataFrame({"a": [1, 2], "s": ["text of another length", ""]}))
    assert len(result) == 1  # nothing stands behind it
    stored_file(store, pd.DataFrame({"a": [1, 2], "s": [b"", b""]}))
    assert len(result) == 2
