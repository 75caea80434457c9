"""`to_pandas`: an Arrow table becomes a pandas frame.

A frame is a head (index, labels, attributes) and blocks. PyArrow's own code makes the head, `blocks.py` the blocks.
Does not depend on: files, stores.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from colonnade.conversion.blocks import BlockMaker
from colonnade.conversion.c_stream import import_columns
from colonnade.conversion.explain import why_copied
from colonnade.conversion.groups import Group
from colonnade.conversion.plans import prepare
from colonnade.interop import pandas as internals
from colonnade.interop.arrow import arrow_table
from colonnade.interop.pandas_options import PandasOptions
from colonnade.interop.pyarrow import check_convertible
from colonnade.rules import Reading

if TYPE_CHECKING:
    import pandas as pd


def to_pandas(
    data: Any,
    *,
    memory_pool: pa.MemoryPool | None = None,
    categories: Sequence[str] | None = None,
    strings_to_categorical: bool = False,
    zero_copy_only: bool = False,
    integer_object_nulls: bool = False,
    date_as_object: bool = True,
    timestamp_as_object: bool = False,
    use_threads: bool = True,
    deduplicate_objects: bool = True,
    ignore_metadata: bool = False,
    safe: bool = True,
    split_blocks: bool = False,
    self_destruct: bool = False,
    maps_as_pydicts: Literal["lossy", "strict"] | None = None,
    types_mapper: Callable[[pa.DataType], Any] | None = None,
    coerce_temporal_nanoseconds: bool = False,
) -> pd.DataFrame:
    """Convert Arrow data to pandas: ``pyarrow.Table.to_pandas``, at the speed of memory.

    The result equals PyArrow's: values, dtypes, blocks and their order, index, labels, attributes, and the exceptions.
    All processors move numbers, booleans, times, categories, masked arrays and strings straight into pandas' blocks.
    Dates, and booleans with nulls, share their Python objects. PyArrow makes all other Python objects.
    `explain` says how each column is read.

    Parameters
    ----------
    data : pyarrow.Table or RecordBatch, or anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``
        A stream is read to its end first.
    memory_pool : pyarrow.MemoryPool, optional
        Used for what PyArrow makes. Blocks come from a pool of their own, see `set_pool_limit`.
    categories : list of str, optional
        Columns that become categorical.
    strings_to_categorical : bool, default False
        Make all strings and binaries categorical.
    zero_copy_only : bool, default False
        Raise if any column would be copied, and name each such column. PyArrow checks NumPy's blocks only; here every
        copy counts.
    integer_object_nulls : bool, default False
        Make integers with nulls objects instead of float64.
    date_as_object : bool, default True
        Make dates ``datetime.date`` objects instead of datetime64[ms].
    timestamp_as_object : bool, default False
        Make timestamps ``datetime.datetime`` objects, except those in nanoseconds.
    use_threads : bool, default True
        Use all processors that this process may run on.
    deduplicate_objects : bool, default True
        Let equal values share one Python object.
    ignore_metadata : bool, default False
        Ignore the ``pandas`` schema metadata.
    safe : bool, default True
        Raise if a time does not fit its unit.
    split_blocks : bool, default False
        Give each column a block of its own. Columns without nulls and of one chunk are then not copied, and read-only.
    self_destruct : bool, default False
        Free each column after it was moved. ``data`` must be a Table, and must not be used afterwards.
    maps_as_pydicts : {"lossy", "strict"}, optional
        Make maps dictionaries instead of lists of pairs.
    types_mapper : callable, optional
        Returns the pandas dtype for an Arrow type, or None. It is called once for each type; PyArrow calls it once for
        each column.
    coerce_temporal_nanoseconds : bool, default False
        Make all times nanoseconds.

    Returns
    -------
    pandas.DataFrame
        Its blocks are new memory of shape (columns, rows), except for columns that `explain` calls zero-copy.

    Raises
    ------
    NotATableError
        If ``data`` is not a table.
    pyarrow.ArrowInvalid
        If the arrays contradict each other, as those of a faulty producer do: a column has fewer rows than the table.
    pyarrow.ArrowInvalid, ValueError, TypeError, and others
        Where PyArrow raises them.

    Examples
    --------
    >>> import colonnade as cn, pyarrow as pa
    >>> cn.to_pandas(pa.table({"x": [1, None, 3], "s": ["a", "b", None]}))
         x    s
    0  1.0    a
    1  NaN    b
    2  3.0  NaN
    """
    options = PandasOptions(
        memory_pool=memory_pool,
        categories=categories,
        strings_to_categorical=strings_to_categorical,
        zero_copy_only=zero_copy_only,
        integer_object_nulls=integer_object_nulls,
        date_as_object=date_as_object,
        timestamp_as_object=timestamp_as_object,
        use_threads=use_threads,
        deduplicate_objects=deduplicate_objects,
        ignore_metadata=ignore_metadata,
        safe=safe,
        split_blocks=split_blocks,
        self_destruct=self_destruct,
        maps_as_pydicts=maps_as_pydicts,
        types_mapper=types_mapper,
        coerce_temporal_nanoseconds=coerce_temporal_nanoseconds,
    )
    table = arrow_table(data)
    # PyArrow imports the arrays of other libraries unchecked. This takes 0.07 us a column and reads no values.
    table.validate()
    plan, columns, index = prepare(table, options)
    arrays = import_columns(columns, plan.kinds.import_positions, 0 if use_threads else 1)
    layout = plan.layout(columns, arrays.has_nulls(), options)
    if options.zero_copy_only:
        _refuse_copies(columns, layout.groups, options)
    blocks = BlockMaker(columns, arrays, layout, plan.categories, options).make()
    frame = internals.make_frame(blocks, index, plan.head.labels.view())
    if plan.head.attrs:
        frame.attrs.update(copy.deepcopy(dict(plan.head.attrs)))
    return frame


def _refuse_copies(table: pa.Table, groups: Sequence[Group], options: PandasOptions) -> None:
    """Raise ArrowInvalid with the name of each column that would be copied, if there is any."""
    copies = []
    for group in groups:
        for position in group.positions.tolist():
            why = why_copied(group, table.column(position), options)
            if why:
                copies.append((position, f"{table.schema.names[position]!r} ({group.arrow}): {why}"))
    if copies:
        # A type that pandas cannot hold at all has an error of its own.
        objects = [p for group in groups if group.rule.reading is Reading.CONVERTED for p in group.positions.tolist()]
        check_convertible(table.select(objects), options)
        lines = "\n  ".join(line for _, line in sorted(copies)[:20]) + ("\n  ..." if len(copies) > 20 else "")
        raise pa.ArrowInvalid(f"zero_copy_only=True, but {len(copies)} columns would be copied:\n  {lines}")
