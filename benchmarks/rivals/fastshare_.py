"""fastshare: pickle 5 with the buffers in shared memory, as a library. The publisher holds the block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

TITLE = "fastshare"
REQUIRES = ["fastshare == 1.0.0"]
_held: dict[str, Any] = {}


def publish(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write it, and the name of its block to a file."""
    import fastshare

    shared = fastshare.SharedData(frame)
    shared.__enter__()
    (folder / f"{name}.new").write_text(shared.name)
    (folder / f"{name}.new").rename(folder / name)
    if name in _held:
        _held.pop(name).__exit__(None, None, None)
    _held[name] = shared


def load(folder: Path, name: str) -> pd.DataFrame:
    """Load it by the name of its block."""
    import fastshare

    frame: pd.DataFrame = fastshare.SharedData.load((folder / name).read_text())
    return frame
