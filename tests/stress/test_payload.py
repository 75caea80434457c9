"""The verification of the stress programs finds every page that does not belong to a frame."""

import numpy as np
import pyarrow as pa
import pytest

import colonnade as cn
from support import payload

PAGE = 4096
READINGS = (
    lambda snap: payload.verify_pandas(snap.to_pandas()),
    lambda snap: payload.verify_arrow(snap.to_arrow()),
    payload.verify_head,
)


@pytest.mark.parametrize("rows", [0, 1, 37, 20_000])
def test_what_is_whole_is_found_whole(store, rows):
    snap = store.put("t", payload.make(3, rows, more="x"))
    assert [read(snap) for read in READINGS] == [snap.to_pandas().attrs] * 3
    assert snap.to_pandas().attrs["more"] == "x"


def test_every_torn_page_is_seen(folder):
    """Each page of one version is replaced by that of another, as a reader of a reused segment would see it."""
    store = cn.Store(folder / "s")
    rows = 30_000
    path = store.put("t", payload.make(1, rows)).path
    one = path.read_bytes()
    other = store.put("t", payload.make(2, rows)).path.read_bytes()
    assert len(one) == len(other) > 250 * PAGE
    unseen = []
    for page in range(0, len(one), PAGE):
        torn = bytearray(one)
        torn[page : page + PAGE] = other[page : page + PAGE]
        if torn == one:
            continue
        path.write_bytes(torn)
        pages = []
        for read in READINGS:
            try:
                with store.open("t") as snap:
                    read(snap)
            except (payload.TornError, cn.CorruptSnapshotError, pa.ArrowInvalid):
                pages.append(True)
        if not pages:
            unseen.append(page // PAGE)
    assert unseen == []


def test_a_checksum_of_its_own():
    df = payload.make(1, 100)
    df.attrs["checksum"] += 1
    with pytest.raises(payload.TornError, match="the checksum is another"):
        payload.verify_pandas(df)
    df = payload.make(1, 100)
    df["int"] += np.eye(1, 100, 7, dtype=np.int32)[0]
    with pytest.raises(payload.TornError, match=r"column 'int': 1 of 100 values are wrong, from 7 .* to 7"):
        payload.verify_pandas(df)
