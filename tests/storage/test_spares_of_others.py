"""A file that another name or another user has is never written over, and two writers never share a spare."""

import os
import subprocess
import sys

import pytest

from support.spares import frame, inode, spares


@pytest.mark.privileged("users")
def test_a_foreign_spare_is_not_taken(store):
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    (spare,) = spares(store)
    os.chown(spare, 65534, 65534)
    store.put("t", frame(3)).close()
    assert spare in spares(store)
    store.gc()


def test_a_spare_with_another_name_is_not_taken(store):
    """A writer that is killed between link and rename leaves the newest version with a second name, that of a spare."""
    store.put("t", frame(1)).close()
    store.put("t", frame(2)).close()
    store.gc()
    number = inode(store)
    (store.path / ".segments").mkdir(exist_ok=True)
    os.link(store.path / "t.arrow", store.path / ".segments" / "spare-0123456789abcdef")
    store.put("u", frame(3)).close()
    assert inode(store, "u") != number
    assert (store.get("t")["x"] == 2).all()
    assert not (store.path / ".segments" / "spare-0123456789abcdef").exists()


def test_two_names_of_one_inode_in_attach(store, monkeypatch):
    """The reader looked the name up, then the segment was superseded, taken, rewritten and published under the same name:
    what it opened is what the name leads to, and it must see the new version whole."""
    store.put("t", frame(1)).close()
    first = inode(store)
    store.put("u", frame(0)).close()
    store.delete("u")
    from colonnade.storage.segment import Segment

    real = Segment.is_at
    published = []

    def slow(self, folder, file):
        if not published:  # between open and check: the reader's own descriptor keeps the segment from being taken
            published.append(True)
            store.put("t", frame(2)).close()
            store.put("t", frame(3)).close()
            assert inode(store) != first
        return real(self, folder, file)

    monkeypatch.setattr(Segment, "is_at", slow)
    snapshot = store.open("t")
    assert snapshot.version == 3
    assert (snapshot.to_pandas()["x"] == 3).all()


def test_nothing_is_read_before_the_name_is_checked(store, monkeypatch):
    from colonnade.storage.segment import Segment

    store.put("t", frame(1)).close()
    order = []
    for name in ("is_at", "seal"):
        real = getattr(Segment, name)
        monkeypatch.setattr(
            Segment, name, lambda self, *args, _real=real, _name=name: order.append(_name) or _real(self, *args)
        )
    store.open("t")
    assert order == ["is_at", "seal"]


@pytest.mark.slow
def test_two_writers_do_not_take_one_spare(store):
    """Several processes put at once, each under its own name, and each reads back what it wrote."""
    program = f"""
import sys, numpy as np, pandas as pd, colonnade as cn
store = cn.Store({str(store.path)!r})
me = int(sys.argv[1])
sys.stdin.readline()
for i in range(25):
    df = pd.DataFrame({{"x": np.full(400_000 + 1000 * i, me * 1000.0 + i)}})
    store.put(f"t{{me}}", df).close()
    back = store.get(f"t{{me}}")
    assert (back["x"] == me * 1000 + i).all() and len(back) == len(df)
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(me)], stdin=subprocess.PIPE, text=True) for me in range(3)
    ]
    for writer in writers:
        writer.communicate("go\n")
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert len(spares(store)) <= 6
