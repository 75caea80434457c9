"""Pickle protocol 5 with the buffers in one file of shared memory, mapped by the reader: the recipe done by hand."""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path

import pandas as pd

TITLE = "pickle 5, buffers by hand"
ALIGN = 64


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write the buffers one after the other, and their places into the pickle."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(frame, protocol=5, buffer_callback=buffers.append)
    places = []
    with (folder / f"{name}.buffers").open("wb") as file:
        for buffer in buffers:
            raw = buffer.raw()
            file.seek(-(-file.tell() // ALIGN) * ALIGN)
            places.append((file.tell(), raw.nbytes))
            file.write(raw)
    (folder / name).write_bytes(pickle.dumps((head, places)))


def load(folder: Path, name: str) -> pd.DataFrame:
    """Map the file copy-on-write, and give pickle views of it."""
    head, places = pickle.loads((folder / name).read_bytes())
    with (folder / f"{name}.buffers").open("rb") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    frame: pd.DataFrame = pickle.loads(head, buffers=[memory[place : place + size] for place, size in places])
    return frame
