"""A stored file as a pandas frame: views of the mapping, put together.

Does not depend on: names, descriptors, how one column is read. Every place goes through `Body`, which checks it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from colonnade.errors import UnsupportedTypeError
from colonnade.format import schema
from colonnade.format.labels import decode_label
from colonnade.format.read.array_frame import columns_of
from colonnade.format.read.blocks import read_blocks
from colonnade.format.read.column import read_column
from colonnade.format.read.file import StoredFile, reading
from colonnade.format.read.index import read_labels, read_rows
from colonnade.format.read.json_text import decode_json
from colonnade.format.read.ndarray import read_ndarray
from colonnade.format.read.projection import Projection
from colonnade.interop import pandas as internals


def read_frame(file: StoredFile, columns: Iterable[Any] | None = None) -> pd.DataFrame:
    """Make the frame, or the columns of it that have some labels, in the labels' order; nothing is copied.

    Raises
    ------
    NotFoundError, CorruptSnapshotError, UnsupportedTypeError
    """
    with reading():
        if isinstance(file.layout, schema.ArrayLayout):
            return _frame_of_array(file, file.layout, columns)
        # A search reads the labels, so the labels of a nested table are validated first.
        return _frame(file if columns is None else file.checked(_validate_values), columns)


def read_pandas(file: StoredFile, columns: Iterable[Any] | None = None) -> Any:
    """Make what was put: the frame, or the Series. With ``columns``, a Series becomes a frame too.

    Raises
    ------
    NotFoundError, CorruptSnapshotError, UnsupportedTypeError
    """
    return as_put(file, read_frame(file, columns), columns)


def as_put(file: StoredFile, frame: pd.DataFrame, columns: object = None) -> Any:
    """Make the Series of a frame where one was put, unless some columns are asked for.

    Raises
    ------
    CorruptSnapshotError
    """
    if columns is not None or file.series is None:
        return frame
    if frame.shape[1] != 1:
        raise schema.invalid(f"a Series of {frame.shape[1]} columns")
    with reading():
        series = frame.iloc[:, 0]
        series.name = frame.columns[0] if file.series.labelled else decode_label(file.series.name)
        return series


def read_values(file: StoredFile) -> npt.NDArray[Any]:
    """Make an array of shape (rows, columns), or of a Series (rows,): a view where the table is one block.

    Raises
    ------
    CorruptSnapshotError, UnsupportedTypeError
    """
    frame = read_frame(file)
    if not internals.holds_numbers(frame):  # codes and offsets are followed
        validate(file)
    with reading():
        values = internals.values_of(frame)
        return values if file.series is None else values[:, 0]


def labels_of(file: StoredFile) -> list[Any]:
    """The labels of the columns, in order.

    Raises
    ------
    CorruptSnapshotError, UnsupportedTypeError
    """
    with reading():
        if isinstance(file.layout, schema.ArrayLayout):
            return columns_of(read_ndarray(file, file.layout))[0].tolist()
        return read_labels(file.checked(_validate_values)).tolist()


def _frame(file: StoredFile, columns: Iterable[Any] | None) -> pd.DataFrame:
    layout = file.frame
    frame = _whole_frame(file) if columns is None else _projected_frame(file, columns)
    if layout.attrs:
        frame.attrs.update(decode_json(layout.attrs, "attrs"))
    if layout.unique_labels:
        internals.refuse_duplicate_labels(frame)
    return frame


def _whole_frame(file: StoredFile) -> pd.DataFrame:
    layout, labels = file.frame, read_labels(file)
    blocks = read_blocks(file, len(labels))
    values = [internals.wrap_datetimes(block.values) for block in blocks]
    values += [internals.as_block(read_column(file, column)) for _, column in layout.columns]
    template: internals.FrameTemplate | None = file.cache.get("template")
    if template is not None:
        return template.frame(values, read_rows(file))
    places = [block.positions for block in blocks]
    places += [np.array([position], np.intp) for position, _ in layout.columns]
    frame = internals.make_frame(list(zip(values, places, strict=True)), read_rows(file), labels)
    if "labels" in file.cache:
        file.cache["template"] = internals.FrameTemplate(frame)
    return frame


def _projected_frame(file: StoredFile, columns: Iterable[Any]) -> pd.DataFrame:
    labels = read_labels(file)
    projection = Projection.of(labels, columns)
    blocks = [
        piece
        for block in read_blocks(file, len(labels))
        for piece in projection.of_block(block.values, block.positions)
    ]
    for position, column in file.frame.columns:
        for repeat, new_position in enumerate(projection.places(position)):
            values = internals.as_block(read_column(file, column))
            # Two columns over one memory would see each other's writes.
            blocks.append((values.copy() if repeat else values, np.array([new_position], np.intp)))
    return internals.make_frame(blocks, read_rows(file), projection.labels(labels))


def _frame_of_array(file: StoredFile, layout: schema.ArrayLayout, columns: Iterable[Any] | None) -> pd.DataFrame:
    labels, values, others = columns_of(read_ndarray(file, layout))
    projection = Projection.of(labels, columns)
    if values is None:
        # pandas made it of copies, so any columns of it may be taken.
        frame = pd.DataFrame(dict(enumerate(others)), copy=False).set_axis(labels, axis=1)
        return frame if projection.order is None else frame.iloc[:, projection.order]
    blocks = projection.of_block(values, np.arange(len(labels), dtype=np.intp))
    return internals.make_frame(blocks, pd.RangeIndex(values.shape[1]), projection.labels(labels))


def validate(file: StoredFile) -> None:
    """Look at every value: Arrow's full validation, and what pandas reads compared with what Arrow reads.

    Raises
    ------
    CorruptSnapshotError
    """
    with reading():
        _validate_values(file)
        with contextlib.suppress(UnsupportedTypeError):  # the file is right, but pandas has no such type
            frame = read_frame(file)
            frame.set_flags(allows_duplicate_labels=frame.flags.allows_duplicate_labels)  # looks for duplicates


def _validate_values(file: StoredFile) -> None:
    from colonnade.format.read.validate import validate_values

    validate_values(file)
