"""The three ways that the demo and `benchmarks.share` compare, which need nothing else.

They are imported at once, and Colonnade is one of them: environments of other rivals may have a pandas that is too old.

Does not depend on: what is measured.
"""

from __future__ import annotations

from benchmarks.rivals import Rival, rival

RIVALS: dict[str, Rival] = {
    "colonnade": rival("colonnade_"),
    "pickle": rival("pickle_"),
    "arrow_ipc": rival("arrow_ipc"),
}
