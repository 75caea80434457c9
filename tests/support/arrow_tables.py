"""Arrow tables of every type, with nulls, chunks and offsets of every pattern.

A column is a small recipe: which kind of values, where the nulls are, how it is cut into chunks, and a seed. Hypothesis draws and
shrinks recipes, so that a failure names a column that a reader can build again; the values come from a seeded NumPy generator. What
lies under a null is not zero but some other value of the kind, as Arrow allows.
"""

import dataclasses
import functools
import itertools
import string

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from support.arrow_extensions import KINDS
from support.arrow_flat import NULLS, OFFSETS, with_nulls


@dataclasses.dataclass(frozen=True)
class Column:
    """How to build a column; each chunk is (offset into its memory, rows)."""

    kind: str
    nulls: str = "some"
    chunks: tuple = ((0, 67),)
    seed: int = 0

    @property
    def rows(self):
        return sum(rows for _, rows in self.chunks)

    def build(self):
        rng = np.random.default_rng([self.seed, *self.kind.encode()])
        make, valid = KINDS[self.kind], NULLS[self.nulls]
        result = []
        for offset, rows in self.chunks:
            whole = offset + rows + (3 if offset else 0)
            result.append(with_nulls(make(rng, whole), valid(rng, whole)).slice(offset, rows))
        return pa.chunked_array(result, make(rng, 0).type)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to build a table. Each build gives the same values in new memory."""

    columns: tuple
    names: tuple
    rows: int = 0  # of a table without columns

    def build(self):
        if not self.columns:
            return pa.table({"x": range(self.rows)}).select([])
        return pa.Table.from_arrays([column.build() for column in self.columns], names=list(self.names))


@functools.cache
def type_of(kind):
    return KINDS[kind](np.random.default_rng(0), 0).type


@st.composite
def chunks(draw, rows):
    """Any way to cut rows into chunks, none at all where there are no rows, and an offset for each."""
    if rows == 0 and draw(st.booleans()):
        return ()
    cuts = sorted(draw(st.lists(st.integers(0, rows), max_size=3)))
    bounds = [0, *cuts, rows]
    return tuple((draw(st.sampled_from(OFFSETS)), end - start) for start, end in itertools.pairwise(bounds))


@st.composite
def columns(draw, rows, kinds):
    return Column(
        kind=draw(st.sampled_from(kinds)),
        nulls=draw(st.sampled_from(sorted(NULLS))),
        chunks=draw(chunks(rows)),
        seed=draw(st.integers(0, 3)),
    )


NAMES = [*string.ascii_lowercase[:8], "", "Größe", "数据", "with space", "1", "__index_level_0__", "None"]


@st.composite
def recipes(draw, kinds, max_columns=5):
    """Any table; a name may come twice."""
    rows = draw(st.sampled_from([0, 1, 2, 7, 8, 9, 63, 64, 65, 130, 513]))
    several = draw(st.lists(columns(rows, kinds), max_size=max_columns))
    # Half of the time a kind comes twice, so that PyArrow puts both columns into one block.
    if several and draw(st.booleans()):
        several.append(dataclasses.replace(draw(columns(rows, kinds)), kind=several[0].kind))
    unique = draw(st.sampled_from([True, True, True, False]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=len(several), max_size=len(several), unique=unique))
    return Recipe(tuple(several), tuple(names), rows)
