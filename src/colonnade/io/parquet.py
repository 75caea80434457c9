"""PyArrow's reader of Parquet: its options, and the old type of times INT96.

Does not depend on: files of other formats, how batches are read.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from pyarrow import dataset as ds

from colonnade.io.batches import POOL


def parquet_format(int96: str = "ns") -> Any:
    """Make the format of Parquet files whose INT96 times are read in this unit."""
    return ds.ParquetFileFormat(
        coerce_int96_timestamp_unit=int96, default_fragment_scan_options=parquet_options(remote=False)
    )


def parquet_options(*, remote: bool) -> Any:
    """Make the options of a scan; ``remote``: the files are read over a network."""
    # Over a network, a row group's parts are worth one request. Locally that would hold the whole file in memory.
    # Extensions as in pq.read_table: UUIDs and JSON of writers that store no Arrow schema.
    return ds.ParquetFragmentScanOptions(pre_buffer=remote, arrow_extensions_enabled=True)


def has_far_int96(dataset: Any) -> bool:
    """Say whether times of the old type INT96 lie outside of the years 1677 to 2262.

    PyArrow reads INT96 as nanoseconds, and gives other times for those that nanoseconds cannot hold. There are no
    statistics of INT96, so its columns are read once more, as microseconds.
    """
    columns = {
        fragment.metadata.schema.column(at).path.partition(".")[0]
        for fragment in dataset.get_fragments()
        for at in range(len(fragment.metadata.schema))
        if fragment.metadata.schema.column(at).physical_type == "INT96"
    }
    if not columns:
        return False
    as_microseconds = ds.FileSystemDataset(
        [
            parquet_format("us").make_fragment(fragment.path, fragment.filesystem)
            for fragment in dataset.get_fragments()
        ],
        pa.schema([]),
        parquet_format("us"),
    )
    for fragment in as_microseconds.get_fragments():
        names = [name for name in fragment.physical_schema.names if name in columns]
        for batch in fragment.scanner(schema=fragment.physical_schema, columns=names, memory_pool=POOL).to_batches():
            if any(map(_is_far, batch.columns)):
                return True
    return False


_NS_RANGE = (-(1 << 63) // 1000 + 1, (1 << 63) // 1000 - 1)  # of nanoseconds, in microseconds


def _is_far(array: pa.Array) -> bool:
    """Say whether an array, or one inside of it, has times that nanoseconds cannot hold."""
    if pt.is_timestamp(array.type):
        bounds = pc.min_max(array.cast(pa.timestamp("us")).view(pa.int64()))
        first, last = (limit.as_py() for limit in bounds.values())
        return first is not None and (first < _NS_RANGE[0] or last > _NS_RANGE[1])
    if pt.is_struct(array.type):
        return any(map(_is_far, array.flatten()))
    if pt.is_map(array.type):
        return _is_far(array.keys) or _is_far(array.items)
    if pt.is_list(array.type) or pt.is_large_list(array.type) or pt.is_fixed_size_list(array.type):
        return _is_far(array.flatten())
    return False
