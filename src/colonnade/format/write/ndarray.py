"""A NumPy array, planned: its memory as it stands, and the columns that Arrow sees in it.

Does not depend on: files, places, pandas.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from colonnade.core.jobs import Job, PandasBuffer, Piece, Validity, Values
from colonnade.errors import UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.ndarray_layout import Layout, decode_array_dtype, encode_array_dtype, lay_out_array
from colonnade.format.write.column import Column, Flat, Node, bitmap_region, block_region, one_null
from colonnade.format.write.fields import NamedTypes
from colonnade.format.write.table import ArrayLayoutPlan, TablePlan, group_blocks
from colonnade.rules import Reading


def plan_array(array: npt.NDArray[Any]) -> TablePlan:
    """Plan an array; its memory must stay as it is until the plan has run.

    Raises
    ------
    UnsupportedTypeError
    """
    dtype = _encoded_dtype(array)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        source, array = array, np.zeros(array.shape, array.dtype)  # zeros where a structure has gaps
        np.copyto(array, source)
    order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
    layout = lay_out_array(array.dtype, array.shape, order)
    if order == "C" and array.flags.f_contiguous and array.ndim == 2:  # one row or one column: both, so take columns
        in_columns = lay_out_array(array.dtype, array.shape, "F")
        order, layout = ("C", layout) if in_columns.tensor else ("F", in_columns)
    address = array.__array_interface__["data"][0]
    step = layout.length * layout.carrier.itemsize
    column = _column(layout, address, step, array)
    assert column.block is not None
    layout_plan = ArrayLayoutPlan(layout.rows, dtype, array.shape, order, column.block[1])
    fields = NamedTypes(layout.names, [layout.type] * len(layout.names))
    blocks = group_blocks([(range(layout.columns), column)])
    return TablePlan(layout.rows, (column,), fields, {}, layout_plan, blocks=blocks)


def _encoded_dtype(array: npt.NDArray[Any]) -> schema.NumpyDtype:
    """The dtype as the layout metadata has it; a dtype that would not come back equal is refused."""
    dtype = array.dtype
    if isinstance(array, np.ma.MaskedArray):
        raise UnsupportedTypeError(
            "a masked array would lose its mask; put array.filled(...), or a DataFrame with a masked dtype as Int64"
        )
    if type(array) not in (np.ndarray, np.memmap, np.recarray):
        raise UnsupportedTypeError(
            f"a {type(array).__module__}.{type(array).__qualname__} would come back as a plain array; "
            "put numpy.asarray() of it if that is enough"
        )
    if dtype.hasobject or dtype.kind == "T":
        raise UnsupportedTypeError(
            f"an array of {dtype} holds references to memory of this process, which mean nothing in another one; put a "
            "pandas.DataFrame(array), or use .astype() with a dtype of numbers, times or texts of fixed length"
        )
    dtype_layout = encode_array_dtype(dtype)
    try:
        if decode_array_dtype(dtype_layout) == dtype:
            return dtype_layout
    except (ValueError, TypeError, KeyError):
        pass
    raise UnsupportedTypeError(
        f"an array of {dtype} would not come back as it is; use .astype() with a dtype of numbers, times, texts of "
        "fixed length or a structure of these"
    )


def _column(layout: Layout, address: int, step: int, keep: Any) -> Column:
    """The columns of an array, planned as one; ``step`` bytes from one to the next."""
    job = _job(layout, address, step, keep)
    nodes: tuple[Node, ...] = (Node(job.rows, job, (job.bitmap, job.values)),)
    if layout.tensor:
        nodes = (Node(layout.rows, 0, (None,)), *nodes)
    region = job.values if job.pandas_buffer is None else job.pandas_buffer
    assert region is not None
    # The spelling only tells columns of one block from others.
    block = (layout.carrier.str, region)
    one_row = one_null(layout.type)
    return Column(Flat(layout.type, nodes, (job,)), one_row, Reading.VALUES, block, count=job.count)


def _job(layout: Layout, address: int, step: int, keep: Any) -> Job:
    """Copy the columns; NaT is a null, because Arrow has no NaT, and NaN a value."""
    rows, width, count = layout.length, layout.carrier.itemsize, layout.columns
    pieces = [Piece(address, width, 0, 0, rows)]
    if layout.carrier.kind == "b":
        return Job(
            rows,
            pieces,
            Values.BYTES_TO_BITS,
            width=width,
            pandas_kind=PandasBuffer.BYTES,
            pandas_element="uint8",
            values=bitmap_region(rows, count),
            pandas_buffer=block_region(rows, count),
            keep=keep,
            count=count,
            source_step=step,
        )
    is_time = layout.carrier.kind in "mM"
    return Job(
        rows,
        pieces,
        Values.FIXED,
        width=width,
        validity_kind=Validity.NAT if is_time else Validity.NONE,
        values=block_region(rows * width, count),
        bitmap=bitmap_region(rows, count) if is_time else None,
        keep=keep,
        count=count,
        source_step=step,
    )
