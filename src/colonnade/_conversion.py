"""Arrow in memory to pandas, and back: the public functions.

Knows: the options of PyArrow's own ``Table.to_pandas`` and ``Table.from_pandas``.
Does not depend on: how bytes are moved, stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from colonnade import _core
from colonnade.sizes import parse_size

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from colonnade.explanation import Explanation


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

    The result equals PyArrow's: values, dtypes, blocks, index, labels, attributes, and the exceptions. Numbers,
    booleans, times, categories, masked arrays and strings are moved by all processors, straight into pandas' blocks;
    dates and booleans with nulls share their Python objects; what else pandas holds as objects is made by PyArrow.
    `explain` says which column is which.

    Parameters
    ----------
    data : pyarrow.Table or RecordBatch, or anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``
        A stream is read to its end first.
    memory_pool : pyarrow.MemoryPool, optional
        For what PyArrow makes. Blocks come from a pool of their own, see `set_pool_limit`.
    categories : list of str, optional
        Columns that become categorical.
    strings_to_categorical : bool, default False
        Make all strings and binaries categorical.
    zero_copy_only : bool, default False
        Raise, and name each column, if any would be copied. PyArrow looks at NumPy's blocks alone; here whatever
        copies counts.
    integer_object_nulls : bool, default False
        Make integers with nulls objects, and not float64.
    date_as_object : bool, default True
        Make dates ``datetime.date`` objects, and not datetime64[ms].
    timestamp_as_object : bool, default False
        Make timestamps ``datetime.datetime`` objects, but for those in nanoseconds.
    use_threads : bool, default True
        Use all processors that this process may run on.
    deduplicate_objects : bool, default True
        Let equal values share one Python object.
    ignore_metadata : bool, default False
        Do not look at the ``pandas`` metadata.
    safe : bool, default True
        Raise where a time does not fit its unit.
    split_blocks : bool, default False
        Give each column a block of its own; then columns without nulls, of one chunk, are not copied, and read-only.
    self_destruct : bool, default False
        Free each column once it has moved. ``data`` must be a Table, and is not to be used afterwards.
    maps_as_pydicts : {"lossy", "strict"}, optional
        Make maps dictionaries, and not lists of pairs.
    types_mapper : callable, optional
        Gives the pandas dtype for an Arrow type, or None. Called once for each type, where PyArrow calls it for each
        column.
    coerce_temporal_nanoseconds : bool, default False
        Make all times nanoseconds.

    Returns
    -------
    pandas.DataFrame
        Its blocks are new memory, shape (columns, rows), but for what `explain` calls zero-copy.

    Raises
    ------
    NotATableError
        For data that is not a table.
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
    options = {name: value for name, value in locals().items() if name != "data"}
    from colonnade.conversion import to_pandas as convert  # noqa: PLC0415 -- it imports pandas
    from colonnade.interop.arrow import arrow_table  # noqa: PLC0415 -- the same

    return convert.to_pandas(arrow_table(data), {**options, "pool": options.pop("memory_pool")})


def from_pandas(  # noqa: PLR0917 -- PyArrow's, in PyArrow's order
    df: pd.DataFrame,
    schema: pa.Schema | None = None,
    preserve_index: bool | None = None,
    nthreads: int | None = None,
    columns: Sequence[Any] | None = None,
    safe: bool = True,
) -> pa.Table:
    """Convert a pandas frame to Arrow: ``pyarrow.Table.from_pandas``, at the speed of memory.

    The result equals PyArrow's, metadata included, and never changes when the frame does: every column is copied once,
    while it is scanned for nulls, or is Arrow memory already (``str``, ArrowDtype). PyArrow's may refer to the frame's
    memory.

    Parameters
    ----------
    df : pandas.DataFrame
    schema : pyarrow.Schema, optional
        The columns to take, in this order, and their types.
    preserve_index : bool, optional
        Store the index as columns. By default all but a RangeIndex, which becomes metadata.
    nthreads : int, optional
        How many threads; by default all processors that this process may run on.
    columns : list, optional
        The columns to take.
    safe : bool, default True
        Raise where a value does not fit the schema's type.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    ValueError, KeyError, TypeError, pyarrow.ArrowInvalid, pyarrow.ArrowTypeError
        Where PyArrow raises them.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> df = pd.DataFrame({"x": [1.0, None]})
    >>> table = cn.from_pandas(df)
    >>> df["x"].array[0] = 7.0
    >>> table["x"].to_pylist()
    [1.0, None]
    """
    from colonnade.conversion import from_pandas as convert  # noqa: PLC0415 -- it imports pandas

    return convert.from_pandas(df, schema, preserve_index, nthreads, columns, safe)


def explain(data: Any, **options: Any) -> Explanation:
    """Say of each column of Arrow data how `to_pandas` would read it, how many bytes that copies, and why.

    Parameters
    ----------
    data : pyarrow.Table or RecordBatch, or anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``
    **options
        Those of `to_pandas`.

    Returns
    -------
    Explanation
        A sequence of reports that prints as a table; ``to_pandas()`` makes a frame of it.

    Examples
    --------
    >>> import colonnade as cn, pyarrow as pa
    >>> for report in cn.explain(pa.table({"x": [1, 2], "b": [True, None]}), split_blocks=True):
    ...     print(report.column, report.dtype, report.copied, report.why or "zero-copy")
    x int64 0 zero-copy
    b object 16 pandas holds Python objects here; each distinct one is made once
    """
    from colonnade.conversion import to_pandas as convert  # noqa: PLC0415 -- it imports pandas
    from colonnade.interop.arrow import arrow_table  # noqa: PLC0415 -- the same

    defaults = dict(to_pandas.__kwdefaults__ or {})
    unknown = options.keys() - defaults.keys()
    if unknown:
        raise TypeError(f"to_pandas has no option {', '.join(sorted(unknown))}; it has {', '.join(defaults)}")
    chosen = defaults | options
    return convert.explain(arrow_table(data), {**chosen, "pool": chosen.pop("memory_pool")})


def set_pool_limit(limit: int | str) -> None:
    """Set how much memory of dropped frames is kept for the next ones.

    `to_pandas` and `from_pandas` write to buffers of huge pages, which are kept when the last view of them is gone:
    first touching fresh memory costs more than the copy itself. By default a sixteenth of the machine's memory is kept,
    and 1.25 GiB at most. Kept memory is marked as free to take, and the kernel takes it when memory runs short.
    `gc` frees it.

    Parameters
    ----------
    limit : int or str
        Bytes, or a text like ``"256MiB"``; 0 keeps nothing. What is above is freed at once. The environment variable
        ``COLONNADE_POOL_LIMIT`` sets the same.

    Raises
    ------
    ValueError
        For anything else.

    Examples
    --------
    >>> import colonnade as cn
    >>> cn.set_pool_limit("256MiB")
    """
    import colonnade.core.buffers  # noqa: F401, PLC0415 -- it sets the default limit, and would undo this one later

    _core.set_pool_limit(parse_size(limit, "the limit"))


def trim_pool() -> int:
    """Free what the pool keeps; returns its bytes."""
    return _core.trim_pool()
