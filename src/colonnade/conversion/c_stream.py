"""Imports Arrow columns, chunk by chunk: where the buffers of each chunk are, and which columns have nulls.

The core does it, through Arrow's C stream interface.
Does not depend on: pandas, what a column will become.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from colonnade import _core
from colonnade.interop.process_end import finished_before_exit

# A table is exported whole, batch by batch: 10,000 columns take 10 ms one by one, and 3.5 ms as one batch. But each
# batch costs as much as there are columns, so a table of more batches is exported column by column.
_MOST_BATCHES = 64


def import_columns(table: pa.Table, positions: npt.NDArray[np.intp], threads: int = 0) -> _core.ImportedArrays:
    """Import columns of primitive values or dictionary indices.

    The pieces of a column are its chunks; adjacent ones may be joined.

    Raises
    ------
    ValueError
        The arrays contradict each other, as only those of a faulty producer do: a column has fewer rows than the table,
        or declares more nulls than it has rows.
    """
    arrays = _core.ImportedArrays()
    count = len(positions)
    if count == 0:
        return arrays
    rows = table.num_rows
    if count == 1 or table.column(0).num_chunks <= _MOST_BATCHES:
        if 2 * count < table.num_columns:  # what is not imported would be exported in vain
            table = table.select(positions.tolist())
            positions = np.arange(count)
        with finished_before_exit:
            stream = table.__arrow_c_stream__()
        if arrays.add_table(stream, positions, table.num_columns, rows, _MOST_BATCHES):
            return arrays
    streams = [table.column(position).__arrow_c_stream__() for position in positions.tolist()]
    arrays.add_columns(streams, rows, threads)
    return arrays
