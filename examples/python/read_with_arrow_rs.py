"""Read stored tables with arrow-rs, Arrow in Rust, and print what is in them: one line of JSON for each file.

    pip install arro3-core arro3-io
    python examples/python/read_with_arrow_rs.py "$COLONNADE_STORE/nyc/flights.arrow"

arro3 is arrow-rs with Python's names; a program in Rust opens the file with `arrow::ipc::reader::FileReader`.
"""

import json
import sys

import arro3.io
from arro3.core import DataType
from describe import describe

INTEGERS = {32: DataType.int32(), 64: DataType.int64()}


def values_of(column):
    """A column's values; times as the whole numbers they are stored as, for Python's have no nanoseconds."""
    if DataType.is_temporal(column.type):
        column = column.cast(INTEGERS[column.type.bit_width])
    return column.to_pylist()


for path in sys.argv[1:]:
    table = arro3.io.read_ipc(path).read_all()
    columns = [table.column(name) for name in range(table.num_columns)]
    described = [
        describe(name, column.type, column.null_count, values_of(column))
        for name, column in zip(table.column_names, columns, strict=True)
    ]
    print(json.dumps({"rows": table.num_rows, "columns": described}))
