"""The only file that uses pandas' private names.

How pandas holds a frame (blocks), and how to make its arrays from memory without a check of every value.
Does not depend on: files, places, Arrow's layouts. It is imported only when a frame is put or asked for.
pandas' stubs do not have these names, so mypy does not check them in this file (``pyproject.toml``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from colonnade.interop.versions import require

require("pandas", pd.__version__)

import pandas._config.config as settings  # noqa: E402 -- after the check of the version
import pandas.core.arrays.arrow.extension_types  # noqa: E402 -- the same
from pandas.api.internals import create_dataframe_from_blocks  # noqa: E402 -- the same

Array1D = Any  # a NumPy array or a pandas ExtensionArray, one dimension


def arrays_of(df: pd.DataFrame) -> list[Array1D]:
    """Return the columns of a frame as one-dimensional views of its blocks, in order; nothing is copied.

    ``df.iloc[:, i].array`` returns the same and takes 20 us for each column; this takes less than 1 us.
    """
    columns: list[Array1D] = [None] * df.shape[1]
    for block in df._mgr.blocks:
        values = _bare(block.values)
        for row, position in enumerate(block.mgr_locs.as_array.tolist()):
            columns[position] = values[row] if values.ndim == 2 else values
    return columns


def labels_of(index: pd.Index[Any]) -> list[Any]:
    """The labels as a list: the same as ``list(index)``, which takes 0.6 us for each string."""
    if isinstance(index.dtype, pd.StringDtype) and len(index) > _MANY:
        return index.to_numpy(object).tolist()
    return list(index)


_MANY = 50  # fewer strings take longer that way


def columns_of_blocks(df: pd.DataFrame, together: Callable[[Any], bool]) -> list[tuple[list[int], Any]]:
    """The columns of a frame as (positions, array), in the order of the first position; nothing is copied.

    Columns of one block are one array, with a row for each, if they are several, ``together`` is true of their dtype,
    and no other block of that dtype has a column between them. Every other column is an array of one dimension.
    """
    blocks = [(block.mgr_locs.as_array.tolist(), _bare(block.values)) for block in df._mgr.blocks]
    blocks.sort(key=itemgetter(0))
    columns: list[tuple[list[int], Any]] = []
    several: dict[Any, list[tuple[list[int], Any]]] = {}
    for positions, values in blocks:
        if values.ndim == 1:
            columns.append((positions, values))
        elif together(values.dtype):
            several.setdefault(values.dtype, []).append((positions, values))
        else:
            columns += _one_by_one(positions, values)
    for parts in several.values():
        positions = [position for part, _ in parts for position in part]
        is_in_order = positions == sorted(positions)
        for part, values in parts:
            is_one = is_in_order and len(part) >= _SEVERAL
            columns += [(part, values)] if is_one else _one_by_one(part, values)
    return sorted(columns, key=itemgetter(0))


_SEVERAL = 4  # fewer take less time one by one


def _one_by_one(positions: list[int], values: Any) -> list[tuple[list[int], Any]]:
    return [([position], values[row]) for row, position in enumerate(positions)]


def columns_by_dtype(df: pd.DataFrame) -> list[tuple[Any, bytes]]:
    """The dtype and the positions of each block of a frame."""
    return [(block.dtype, block.mgr_locs.as_array.tobytes()) for block in df._mgr.blocks]


def same_labels(labels: pd.Index[Any], others: pd.Index[Any]) -> bool:
    """Whether two indexes have the same labels of the same dtype; False where that is not cheap to say."""
    if type(labels) is not type(others) or labels.dtype != others.dtype:
        return False
    if isinstance(labels, pd.RangeIndex):
        return labels._range == others._range
    mine, theirs = labels._values, others._values
    if isinstance(mine, np.ndarray):
        return mine.dtype.kind in "iu" and bool(np.array_equal(mine, theirs))
    return hasattr(mine, "_pa_array") and bool(mine._pa_array.equals(theirs._pa_array))


def array_of_index(index: pd.Index[Any]) -> Array1D:
    """Return the array of an index that is not a MultiIndex; nothing is copied."""
    return _bare(index._values)


def levels_of(index: pd.MultiIndex) -> list[pd.Index[Any]]:
    """Return the values of each level, in order.

    ``index.get_level_values(0)`` is the level whose name is 0, if there is one.
    """
    return [level_in_rows(index, number) for number in range(index.nlevels)]


def level_in_rows(index: pd.MultiIndex, number: int) -> pd.Index[Any]:
    """Return the values of one level."""
    return index._get_level_values(number)


def _bare(array: Any) -> Any:
    # Datetimes without a zone are NumPy's inside a pandas array.
    return array._ndarray if isinstance(array.dtype, np.dtype) and not isinstance(array, np.ndarray) else array


def numpy_of(array: Any) -> npt.NDArray[Any]:
    """Return the memory of a datetime or period array, not copied."""
    return array._ndarray


def masked_parts(array: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return values and mask of a masked array, not copied."""
    return array._data, array._mask


def codes_of(array: Any) -> npt.NDArray[Any]:
    """Return the codes of a categorical, not copied."""
    return array._codes


def arrow_of(array: Any) -> pa.ChunkedArray:
    """Return the Arrow data that a pandas array wraps, not copied."""
    return array._pa_array


def make_frame(
    blocks: Sequence[tuple[Any, npt.NDArray[np.intp]]],
    index: pd.Index[Any],
    labels: pd.Index[Any],
) -> pd.DataFrame:
    """Make a frame of blocks of shape (columns, rows) and their positions; nothing is copied, no label is checked."""
    # Datetimes are wrapped here: pandas would look at their type for 30 us.
    parts = [(wrap_datetimes(values), positions) for values, positions in blocks]
    df: pd.DataFrame = create_dataframe_from_blocks(parts, index=index, columns=labels)
    return df


def refuse_duplicate_labels(df: pd.DataFrame) -> None:
    """Set that flag of a frame. `set_flags` checks every label of both axes; that was done on put."""
    df.flags._allows_duplicate_labels = False


def as_block(values: Any) -> Any:
    """A column as pandas holds it in a block of its own: of shape (1, rows), if the block of its dtype has two axes."""
    if isinstance(values, np.ndarray) or values.dtype._supports_2d:
        return wrap_datetimes(values.reshape(1, -1))
    return values


class FrameTemplate:
    """Makes frames with the labels of a frame and its blocks, in their order; nothing is copied or checked.

    `make_frame` takes four times as long, because pandas looks at each array.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        manager: Any = frame._mgr
        self._manager = type(manager)
        self._blocks = [(type(block), block.mgr_locs) for block in manager.blocks]
        self._labels = manager.axes[0].view()  # a user may name those of the frame

    def frame(self, values: Sequence[Any], index: pd.Index[Any]) -> pd.DataFrame:
        """Make the frame of some values, one for each block, and an index."""
        blocks = [kind(each, places, 2) for (kind, places), each in zip(self._blocks, values, strict=True)]
        manager = self._manager(tuple(blocks), [self._labels.view(), index], verify_integrity=False)
        result: pd.DataFrame = pd.DataFrame._from_mgr(manager, manager.axes)
        return result


def take_rows(df: Any, rows: npt.NDArray[np.intp]) -> Any:
    """Copy some rows of a frame or a Series, by position.

    `DataFrame.take` takes 3 to 7 times as long, because it provides for rows that are missing.
    """
    if isinstance(df, pd.Series) or df.attrs or not df.flags.allows_duplicate_labels:
        return df.take(rows)  # pandas decides what becomes of attributes and flags
    arrays = block_values(df)
    taken = [array.take(rows) if array.ndim == 1 else array.take(rows, axis=1) for array in arrays]
    return FrameTemplate(df).frame(taken, df.index.take(rows))


def make_datetimes(values: npt.NDArray[Any], dtype: Any) -> Any:
    """Make a datetime array with a time zone over datetime64 values."""
    return pd.arrays.DatetimeArray._simple_new(values, dtype=dtype)


def rows_of_times(array: Any, rows: slice) -> Any:
    """Some rows of pandas' datetimes or timedeltas, as a view; rows are the last axis. Indexing takes 6 us."""
    return array._from_backing_data(array._ndarray[..., rows])


def make_periods(values: npt.NDArray[np.int64], dtype: Any) -> Any:
    """Make a period array over ordinals."""
    return pd.arrays.PeriodArray(values, dtype=dtype)


def make_masked(dtype: Any, values: npt.NDArray[Any], mask: npt.NDArray[np.bool_]) -> Any:
    """Make a masked array over values and mask, of the dtype's own types; they are not checked."""
    return dtype.construct_array_type()._simple_new(values, mask)


def make_strings(array: pa.Array, dtype: Any) -> Any:
    """Wrap a large_string array as ``str`` or ``string[pyarrow]``."""
    like = _strings_of(dtype)
    # pandas 3.0 has the constructor alone, which takes 10 us.
    wrap = getattr(like, "_from_pyarrow_array", None)
    return type(like)(array, dtype=dtype) if wrap is None else wrap(array)


@lru_cache(16)
def _strings_of(dtype: Any) -> Any:
    """An array without values, of which only the class and the dtype are used. A whole one takes 80 us to make."""
    kind: Any = dtype.construct_array_type()
    like = kind.__new__(kind)
    like._dtype = dtype
    return like


def make_arrow(array: pa.Array) -> Any:
    """Wrap an Arrow array as an ArrowDtype column."""
    return pd.arrays.ArrowExtensionArray(array)


def make_categorical(codes: npt.NDArray[Any], categories: pd.Index[Any], ordered: bool) -> Any:
    """Make a categorical over codes. Neither codes nor categories are checked: that was done on put."""
    dtype = pd.CategoricalDtype._from_fastpath(categories, ordered)
    return pd.Categorical._simple_new(codes, dtype)


def make_wide_categorical(codes: npt.NDArray[np.int32], dtype: pd.CategoricalDtype) -> Any:
    """Make a categorical over int32 codes, however few categories there are: pandas would copy them to int8.

    pandas works with such codes; a copy or a selection of the categorical has them too.
    """
    base: Any = super(pd.Categorical, pd.Categorical)
    return base._simple_new(codes, dtype)


def make_categorical_dtype(categories: pd.Index[Any]) -> pd.CategoricalDtype:
    """Make the dtype of unordered categories; they are not checked."""
    return pd.CategoricalDtype._from_fastpath(categories, False)


def make_intervals(left: Any, right: Any, dtype: pd.IntervalDtype) -> Any:
    """Make an interval array over both ends."""
    return pd.arrays.IntervalArray._simple_new(left, right, dtype)


def make_index(array: Array1D, name: Any, freq: str | None) -> pd.Index[Any]:
    """Make an index over an array; nothing is copied, and the frequency is not checked."""
    index: pd.Index[Any] = pd.Index(array, name=name, copy=False, dtype=array.dtype)
    if freq is not None:
        if not isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex)):
            raise ValueError(f"an index of {index.dtype} has no frequency")
        # The public setter compares every value with a generated range. pandas 3.1 keeps the frequency in the index,
        # 3.0 in the array.
        times: Any = index
        holder = times if hasattr(times, "_freq") else times._data
        holder._freq = pd.tseries.frequencies.to_offset(freq)
    return index


def index_like(index: pd.Index[Any], array: Array1D) -> pd.Index[Any]:
    """Make an index over other values of the same dtype, with the name of ``index``; nothing is copied or checked."""
    result: pd.Index[Any] = type(index)._simple_new(array, index.name)
    return result


def range_index(rows: range, name: Any) -> pd.RangeIndex:
    """Make a RangeIndex; the public constructor takes 2 us."""
    index: pd.RangeIndex = pd.RangeIndex._simple_new(rows, name=name)
    return index


def string_settings() -> tuple[Any, ...]:
    """The settings of pandas that decide what text becomes; ``pandas.get_option`` takes 3 us for each."""
    values = settings._global_config
    return values["future"]["infer_string"], values["mode"]["string_storage"]


def make_string_index(array: pa.Array, dtype: Any, name: Any) -> pd.Index[Any]:
    """Make an index of strings; the public constructor takes 30 us to check that they are strings."""
    index: pd.Index[Any] = pd.Index._simple_new(make_strings(array, dtype), name)
    return index


def make_multi_index(
    levels: Sequence[pd.Index[Any]], codes: Sequence[npt.NDArray[Any]], names: Sequence[Any]
) -> pd.MultiIndex:
    """Make a MultiIndex of levels and codes; nothing is copied or checked."""
    return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=False)  # type: ignore[arg-type]  # pandas-stubs: codes as lists


def verify_multi_index(index: pd.MultiIndex) -> None:
    """Check that codes are in range and levels unique; ValueError if they are not."""
    make: Any = pd.MultiIndex
    make(index.levels, index.codes, verify_integrity=True)


def wrap_datetimes(values: Any) -> Any:
    """Wrap NumPy datetimes and timedeltas as pandas' arrays, as intervals hold them; return others as they are."""
    kind = getattr(values.dtype, "kind", "")
    if isinstance(values, np.ndarray) and kind in "mM":
        array_type: Any = pd.arrays.DatetimeArray if kind == "M" else pd.arrays.TimedeltaArray
        return array_type._simple_new(values, dtype=values.dtype)
    return values


def block_values(df: pd.DataFrame) -> list[Any]:
    """The arrays of a frame's blocks: one for each NumPy dtype, one for each other column."""
    return [block.values for block in df._mgr.blocks]


def holds_numbers(df: pd.DataFrame) -> bool:
    """Whether all columns are of NumPy's own dtypes without Python objects: to copy them follows nothing."""
    return all(isinstance(block.dtype, np.dtype) and block.dtype != object for block in df._mgr.blocks)


def values_of(df: pd.DataFrame) -> npt.NDArray[Any]:
    """Return a frame's values, shape (rows, columns): a view if they are one NumPy block, as writable as that is."""
    blocks = df._mgr.blocks
    if len(blocks) == 1 and isinstance(blocks[0].dtype, np.dtype):
        (block,) = blocks
        if np.array_equal(block.mgr_locs.as_array, np.arange(df.shape[1])):
            return np.asarray(_bare(block.values)).T
    return df.to_numpy()
