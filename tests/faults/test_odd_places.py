"""Odd places: every verb on folders, links and devices where no store can be, or where it cannot be read."""

import os
import socket
import traceback
import warnings
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import colonnade as cn
from support.judge import WrongError, consume, judge, limited

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", None, "c"], "k": [1, 2, 3]})


def _make_places(folder):
    """Paths where no store can be, or where it cannot be read, by what they are."""
    (folder / "file").write_bytes(b"x")
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere/else")
    (folder / "to a file").symlink_to("file")
    for kind in ("a folder", "a fifo", "a loop", "nothing", "a socket"):
        (folder / f"table is {kind}").mkdir(mode=0o700)
    (folder / "table is a folder/t.arrow").mkdir()
    os.mkfifo(folder / "table is a fifo/t.arrow")
    (folder / "table is a loop/t.arrow").symlink_to("t.arrow")
    (folder / "table is nothing/t.arrow").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "table is a socket/t.arrow"))
    for kind, text in {
        "settings are not JSON": b"{",
        "settings are text": b"\xff",
        "settings are a list": b"[]",
        "settings nest": b"[" * 100_000,
    }.items():
        (folder / kind).mkdir(mode=0o700)
        (folder / kind / ".settings").write_bytes(text)
    (folder / "settings are a folder/.settings").mkdir(parents=True)
    for kind in ("a file", "a link", "a fifo"):
        (folder / f"segments are {kind}").mkdir(mode=0o700)
    (folder / "segments are a file/.segments").write_bytes(b"")
    (folder / "segments are a link/.segments").symlink_to("/tmp")
    os.mkfifo(folder / "segments are a fifo/.segments")
    (folder / "staged is a folder/.publish").mkdir(parents=True)
    (folder / "gone").mkdir()
    places = [path for path in folder.iterdir() if path.name != "gone"]
    return [*places, folder / ("x" * 256), folder / ("x/" * 3000), folder / "file/below", Path("/dev/null"), Path("/proc/self"), Path("/proc/self/fd"), Path("/sys"), Path("/dev/full/x"), Path("/proc/1/nope")]  # fmt: skip


VERBS = {
    "put": lambda store: store.put("t", FRAME).close(),
    "get": lambda store: store.get("t"),
    "ls": lambda store: store.ls(),
    "check": lambda store: store.check(),
    "gc": lambda store: store.gc(),
    "exists": lambda store: store.exists("t"),
    "usage": lambda store: store.usage(),
    "settings": lambda store: store.settings,
    "configure": lambda store: store.configure(capacity="1GiB"),
    "share": lambda store: store.share(FRAME).close(),
    "sizes": lambda store: store.sizes(),
    "sql": lambda store: store.sql("select * from t").fetchall(),
    "watch": lambda store: consume(store.watch("t", timeout=0)),
    "latest": lambda store: consume(store.latest("t")),
    "info": lambda store: store.info("t"),
    "delete": lambda store: store.delete("t"),
    "repr": lambda store: (repr(store), store._repr_html_()),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_odd_places(verb, folder):
    """Every verb on every odd place, each made anew."""
    wrong = []
    for number in range(len(_make_places(_made(folder / "count")))):
        place = _make_places(_made(folder / f"{number}"))[number]
        try:
            with limited(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                VERBS[verb](cn.Store(place))
        except WrongError as late:
            wrong.append(f"{str(place)[-70:]}: {late}")
        except Exception as error:
            text = traceback.format_exc(limit=-3)
            wrong += [
                f"{str(place)[-70:]}: {what}" for what in judge(error, text, (duckdb.Error,) if verb == "sql" else ())
            ]
    assert not wrong, "\n".join(wrong)


def _made(folder):
    folder.mkdir()
    return folder
