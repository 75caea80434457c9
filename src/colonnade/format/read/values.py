"""Values that Arrow reads, looked at before something follows them.

To open a table looks at no value: that takes no time, and a view of numbers can show any bytes. Offsets, indices and
text are followed, and damaged ones lead out of the memory. So whatever shows or copies values calls `check_values`
first.

Does not depend on: the layout metadata, names, descriptors.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import pyarrow as pa
import pyarrow.types as pt

from colonnade.errors import CorruptSnapshotError


def check_array(array: pa.Array) -> None:
    """Look at every value that Arrow reads; pyarrow.ArrowInvalid where one is damaged.

    Values of fixed width may have any bytes. Arrow's specification forbids dates in milliseconds with a time of day,
    times past midnight, and decimals of more digits than they declare, but PyArrow makes them and reads them.
    """
    plain = next((plain for matches, plain in _PLAIN if matches(array.type)), None)
    (array if plain is None else array.view(plain)).validate(full=True)


_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...] = (
    (lambda type_: pt.is_date64(type_) or pt.is_time64(type_) or pt.is_decimal64(type_), pa.int64()),
    (lambda type_: pt.is_time32(type_) or pt.is_decimal32(type_), pa.int32()),
    (pt.is_decimal128, pa.binary(16)),
    (pt.is_decimal256, pa.binary(32)),
)


def check_values(data: pa.Table | pa.RecordBatch, columns: Container[str] | None = None) -> None:
    """Look at the values of all columns, or of some. Text takes 1 s a GB, lists 0.02 s, and numbers no time.

    Raises
    ------
    CorruptSnapshotError
    """
    name = "?"
    try:
        for position in range(data.num_columns):
            name = data.schema.field(position).name
            if columns is None or name in columns:
                column = data.column(position)
                for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                    check_array(chunk)
    except UnicodeDecodeError as error:
        raise CorruptSnapshotError(f"the name of a column is not UTF-8 ({error})") from error
    except pa.ArrowException as error:
        raise CorruptSnapshotError(f"column {name!r} is damaged ({error})") from error
