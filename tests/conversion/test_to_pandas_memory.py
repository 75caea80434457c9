"""Frames have memory of their own for as long as they live, and not longer."""

import gc

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from support.arrow_tables import KINDS, Column, Recipe
from support.likeness import assert_same_frame, assert_same_outcome, assert_same_table, outcome
from support.pyarrow_bugs import bugs_that_hit
from support.to_pandas_comparison import LAYOUTS, one_of, one_of_each, two_of
from support.to_pandas_options import NUMBERS


def _arrays(df):
    """The NumPy arrays that the columns of a frame are made of, and those in its cells."""
    for block in df._mgr.blocks:
        values = block.values
        for part in ("_ndarray", "_codes", "_data", "_mask"):
            if isinstance(getattr(values, part, None), np.ndarray):
                yield getattr(values, part)
        if isinstance(values, np.ndarray):
            yield values
            if values.dtype == object:
                yield from (cell for cell in values.ravel() if isinstance(cell, np.ndarray))


def _overwrite(array):
    if array.flags.writeable:
        array[...] = None if array.dtype == object else ~array if array.dtype == bool else np.zeros(1, array.dtype)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_writing_to_the_frame_leaves_the_table_as_it_was(kind):
    for layout in ("no nulls", "nulls", "chunked"):
        for recipe in (one_of(kind, *LAYOUTS[layout]), two_of(kind, *LAYOUTS[layout])):
            table = recipe.build()
            for options in ({}, {"split_blocks": True}, {"types_mapper": NUMBERS.get}):
                if bugs_that_hit(table, options):
                    continue
                converted = outcome(cn.to_pandas, table, **options)
                if converted.error is None:
                    for array in _arrays(converted.value):
                        _overwrite(array)
            assert_same_table(table, recipe.build(), layout)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_outlives_the_table(kind):
    for options in ({}, {"split_blocks": True}, {"split_blocks": True, "self_destruct": True}):
        recipe = one_of(kind, "none", ((0, 513),))
        if bugs_that_hit(recipe.build(), options):
            continue
        expected = outcome(recipe.build().to_pandas, **options)
        table = recipe.build()
        result = outcome(cn.to_pandas, table, **options)
        del table
        others = [np.full(513 * size, 0x5A, "u1") for size in (1, 2, 4, 8, 16)]  # whoever else takes the memory
        assert_same_outcome(result, expected, assert_same_frame, f"{options}")
        del others


def test_frames_hold_their_memory_no_longer_than_they_live():
    gc.collect()
    recipe = one_of_each((3, 500))
    before = pa.total_allocated_bytes()
    for options in ({}, {"split_blocks": True}, {"types_mapper": pd.ArrowDtype}, {"self_destruct": True}):
        cn.to_pandas(recipe.build(), **options)
        gc.collect()
        assert pa.total_allocated_bytes() <= before


@pytest.mark.parametrize("kind", ["string", "binary", "large_string", "string_view", "fixed_size_binary", "date32, near", "date64, near", "time32[s]", "time64[us]",
                                  "decimal128", "timestamp[us]", "timestamp[ms, UTC]", "duration[s]", "int64", "list<string>", "struct<int64, string>"])  # fmt: skip
def test_equal_cells_are_as_few_objects_as_with_pyarrow(kind):
    column = Column(kind, "some", ((3, 600), (0, 600)))
    table = Recipe((column,), ("x",)).build().replace_schema_metadata(None)
    for options in ({}, {"deduplicate_objects": False}, {"timestamp_as_object": True, "integer_object_nulls": True}):
        ours, theirs = cn.to_pandas(table, **options)["x"], table.to_pandas(**options)["x"]
        if theirs.dtype == object:
            assert len({id(cell) for cell in ours.to_numpy()}) <= len({id(cell) for cell in theirs.to_numpy()})
