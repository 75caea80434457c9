"""Memory in which all workers record what they have seen, and which outlives killed workers.

Contains names as numbers, which reader has seen which version, and which writer deletes. Does not depend on: stores, frames, how workers are made.

Every worker writes to its own slot, one aligned word at a time, so that nothing is locked and a killed worker leaves nothing half
written. A name must never go backwards: whoever has seen version v leaves a note, and whoever *begins* to open after that must find
v or more. After a delete the versions start again at 1, so a note says how many deletes had begun before it. It is left only where no
delete was under way while the observation was made, and it binds only those who find as many deletes when they are done as it says.
"""

import mmap
from typing import NamedTuple

import numpy as np

OPERATIONS = ("start", "make", "put", "delete", "gc", "open", "verify", "hold", "list", "check")
COUNTS = (
    "puts",
    "recycled",
    "conflicts",
    "deletes",
    "gcs",
    "reads",
    "bytes",
    "missing",
    "held",
    "scribbles",
    "references",
    "checks",
)
_TAG = 40  # bits for the version


class WentBackwardsError(Exception):
    """A version that was there before, or a name, is gone."""


class Before(NamedTuple):
    """What was known before an observation began."""

    note: int
    deletes: int
    calm: bool


class Board:
    """Words in shared memory; make it before the first fork."""

    def __init__(self, slots, names):
        shapes = {
            "notes": (slots, names),
            "deletes_begun": (slots, names),
            "deleting": (slots,),
            "puts_begun": (slots, names),
            "puts_done": (slots, names),
            "doing": (slots,),
            "counts": (slots, len(COUNTS)),
        }
        sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
        words = np.frombuffer(mmap.mmap(-1, 8 * sum(sizes.values())), np.int64)
        at = 0
        for name, shape in shapes.items():
            setattr(self, name, words[at : at + sizes[name]].reshape(shape))
            at += sizes[name]

    def before(self, name):
        """To be called before an observation of a name begins."""
        note = int(self.notes[:, name].max())
        deletes = int(
            self.deletes_begun[:, name].sum()
        )  # before the next line, which sees a delete that began too late to be counted
        return Before(note, deletes, not (self.deleting == name + 1).any())

    def after(self, slot, name, before, version, *, above=False):
        """Check that the version found (0: none) is not older than the version known before, and record it.

        ``above``: it must be newer, because this worker has just put it.
        """
        deletes = int(self.deletes_begun[:, name].sum())
        tag, known = before.note >> _TAG, before.note & ((1 << _TAG) - 1)
        if tag == deletes and known and version < known + above:
            result = f"version {version} is" if version else "nothing is"
            raise WentBackwardsError(f"{result} there where version {known} was seen before (after {deletes} deletes)")
        if version and before.calm and before.deletes == deletes:
            self.notes[slot, name] = max(int(self.notes[slot, name]), deletes << _TAG | version)

    def begin_delete(self, slot, name):
        self.deleting[slot] = name + 1  # before the next line, see above
        self.deletes_begun[slot, name] += 1

    def end_delete(self, slot):
        self.deleting[slot] = 0

    def count(self, slot, what, by=1):
        self.counts[slot, COUNTS.index(what)] += by

    def do(self, slot, operation):
        """Record what a worker does now, for the report about kills."""
        self.doing[slot] = OPERATIONS.index(operation)

    def totals(self):
        return dict(zip(COUNTS, self.counts.sum(axis=0).tolist(), strict=True))
