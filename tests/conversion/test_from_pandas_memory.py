"""Tables have memory of their own, or share the frame's where that is asked for."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import colonnade as cn
from support.from_pandas_comparison import KINDS, OPTIONS, of_each_dtype
from support.likeness import assert_same_outcome, assert_same_table, outcome
from support.pyarrow_bugs import bugs_that_hit


def _parts(df):
    """The NumPy arrays that a frame is made of."""
    for block in df._mgr.blocks:
        parts = (getattr(block.values, name, None) for name in ("_ndarray", "_codes", "_data", "_mask"))
        yield from (part for part in (block.values, *parts) if isinstance(part, np.ndarray))


def _overwritten(convert, kind):
    """Whether a table changes when its frame changes."""
    df = pd.DataFrame({"x": KINDS[kind](np.random.default_rng(1), 100)}, copy=True)
    table, before = convert(df), convert(df.copy(deep=True))
    for part in _parts(df):
        if part.flags.writeable:
            part[...] = None if part.dtype == object else np.zeros(1, part.dtype)[0]
    return outcome(assert_same_table, table, before).error is not None


@pytest.mark.parametrize("kind", KINDS)
def test_writing_to_the_frame_changes_no_table_of_its_own_memory(kind):
    """PyArrow's tables share the memory of some columns; ours may share it there, and nowhere else."""
    if not _overwritten(pa.Table.from_pandas, kind):
        assert not _overwritten(cn.from_pandas, kind)


def _by_reference(df):
    return cn.from_pandas(df, copy=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_without_a_copy_is_like_pyarrows(kind):
    for rows in (0, 1, 65, 2049):
        df = pd.DataFrame({"x": KINDS[kind](np.random.default_rng(rows), rows)})
        strides = [] if kind.startswith("arrow") else [df.iloc[::3], df.iloc[::-1]]  # which makes no strides there
        for part in (df, df.iloc[1:], *strides):
            if not bugs_that_hit(part, {}):
                result, expected = outcome(_by_reference, part), outcome(pa.Table.from_pandas, part)
                assert_same_outcome(result, expected, assert_same_table, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_without_a_copy_shares_what_pyarrow_shares(kind):
    """We share a little more: PyArrow copies the codes of categories."""
    if _overwritten(pa.Table.from_pandas, kind):
        assert _overwritten(_by_reference, kind)


@pytest.mark.parametrize("dtype", ["int64", "float32", "M8[us]", "Int16", "datetime64[ns, UTC]"])
def test_a_table_without_a_copy_refers_to_the_frame(dtype):
    df = pd.DataFrame({"x": pd.Series([1, 2, 3]).astype(dtype)})
    table = _by_reference(df)
    (values,) = [part for part in _parts(df) if part.size == 3 and part.dtype != bool][:1]
    assert table["x"].chunk(0).buffers()[1].address == values.__array_interface__["data"][0]
    del df, values
    assert table["x"].cast(pa.int64()).to_pylist() == [1, 2, 3]


@pytest.mark.parametrize("convert", [cn.from_pandas, _by_reference])
@pytest.mark.parametrize("kind", KINDS)
def test_the_table_outlives_the_frame(kind, convert):
    expected = pa.Table.from_pandas(pd.DataFrame({"x": KINDS[kind](np.random.default_rng(1), 513)}))
    df = pd.DataFrame({"x": KINDS[kind](np.random.default_rng(1), 513)})
    result = convert(df)
    del df
    others = [np.full(513 * size, 0x5A, "u1") for size in (1, 2, 4, 8, 16)]  # whoever else takes the memory
    assert_same_table(result, expected)
    del others


def test_the_frame_is_left_as_it_was():
    df = of_each_dtype()
    df.attrs = {"unit": "m"}
    before, blocks = df.copy(deep=True), [id(block) for block in df._mgr.blocks]
    for options in OPTIONS:
        cn.from_pandas(df, **options)
    pd.testing.assert_frame_equal(df, before)
    assert (df.attrs, [id(block) for block in df._mgr.blocks]) == (before.attrs, blocks)


def test_several_threads_convert_one_frame():
    rng = np.random.default_rng(0)
    df = pd.DataFrame({kind: KINDS[kind](rng, 200) for kind in KINDS})
    expected = pa.Table.from_pandas(df)
    with ThreadPoolExecutor(8) as pool:
        for table in pool.map(lambda _: cn.from_pandas(df), range(8)):
            assert_same_table(table, expected)
