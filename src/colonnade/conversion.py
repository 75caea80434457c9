"""Arrow in memory to pandas, and back: the public functions.

Knows: the options of PyArrow's own ``Table.to_pandas`` and ``Table.from_pandas``. Must not know: how bytes are moved,
stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


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
    """Convert Arrow data to pandas."""
    options = {name: value for name, value in locals().items() if name != "data"}
    from colonnade.convert import to_pandas as convert  # noqa: PLC0415 -- it imports pandas
    from colonnade.neighbours.ingest import arrow_table  # noqa: PLC0415 -- the same

    return convert.to_pandas(arrow_table(data), {**options, "pool": options.pop("memory_pool")})


def from_pandas(  # noqa: PLR0917 -- PyArrow's, in PyArrow's order
    df: pd.DataFrame,
    schema: pa.Schema | None = None,
    preserve_index: bool | None = None,
    nthreads: int | None = None,
    columns: Sequence[Any] | None = None,
    safe: bool = True,
) -> pa.Table:
    """Convert a pandas frame to Arrow."""
    from colonnade.convert import from_pandas as convert  # noqa: PLC0415 -- it imports pandas

    return convert.from_pandas(df, schema, preserve_index, nthreads, columns, safe)
