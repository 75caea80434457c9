"""What a snapshot has of a frame: its columns, its shape, some of its rows, its batches, a lazy query.

`Snapshot` inherits this. Does not depend on: files, how a frame is made.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from colonnade.arguments import whole_number

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    # What a slice of rows is: of a frame, of a Series, of an array.
    Part = pd.DataFrame | pd.Series[Any] | npt.NDArray[Any]


class FrameLike(abc.ABC):
    """A table or an array that answers the questions which a frame answers."""

    @property
    @abc.abstractmethod
    def columns(self) -> list[Any]:
        """The labels of the columns, as pandas has them, without the levels of the index."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape that pandas or NumPy gives: (rows, columns) of a table, (rows,) of a Series, an array's own."""

    @property
    @abc.abstractmethod
    def num_rows(self) -> int:
        """The number of rows."""

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """What was put: a table or an array."""

    @property
    @abc.abstractmethod
    def schema(self) -> pa.Schema:
        """The Arrow schema."""

    @abc.abstractmethod
    def to_pandas(self, *, columns: Any = None, writable: bool = True) -> Any:
        """Open the table as pandas."""

    @abc.abstractmethod
    def to_numpy(self) -> Any:
        """Open the table as NumPy."""

    @abc.abstractmethod
    def to_arrow(self, *, validate: Literal["full"] | None = None) -> pa.Table:
        """Open the table as PyArrow."""

    def __len__(self) -> int:
        """The number of rows."""
        return self.num_rows

    def __bool__(self) -> bool:
        return True  # a table without rows is one; len() says how many there are

    def __iter__(self) -> Iterator[Any]:
        """The labels of the columns, as of a frame."""
        return iter(self.columns)

    def __contains__(self, label: object) -> bool:
        return label in self.columns

    def __getitem__(self, key: Any) -> Any:
        """Some rows or columns, as pandas gives them: ``snap[10:20]``, ``snap["x"]``, ``snap[["a", "b"]]``.

        A slice counts rows. For an array the result is ``array[key]``. Nothing is copied, except columns of Python
        objects, which are converted whole.

        Raises
        ------
        NotFoundError
            For a label that is not there.
        """
        if self.kind == "array":
            return self.to_numpy()[key]
        if isinstance(key, slice):
            return self.to_pandas().iloc[key]
        if isinstance(key, list):
            return self.to_pandas(columns=key)
        try:
            hash(key)
        except TypeError:  # a mask, say
            raise TypeError(
                f"snapshot[...] takes a slice of rows, a label or a list of labels, got a {type(key).__name__}; "
                "to_pandas() gives a frame, of which rows are chosen in other ways too"
            ) from None
        return self.to_pandas(columns=[key])[key]

    def head(self, n: int = 5) -> Part:
        """Take the first rows, as of a frame. Only columns of Python objects are copied, and those whole.

        Parameters
        ----------
        n : int, default 5
            How many rows. A negative number takes all rows but the last ones.

        Returns
        -------
        pandas.DataFrame, pandas.Series or numpy.ndarray
            What ``snapshot[:n]`` gives: a frame, a Series if one was put, or a part of an array.

        Raises
        ------
        TypeError
            If ``n`` is not an integer.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/head", pd.DataFrame({"x": range(10)}))
        >>> snap.head(2)["x"].tolist(), len(snap.head(-7))
        ([0, 1], 3)
        >>> cn.delete("docs/head")
        """
        part: Part = self[: whole_number(n, "n")]
        return part

    def tail(self, n: int = 5) -> Part:
        """Take the last rows, as of a frame. Only columns of Python objects are copied, and those whole.

        Parameters
        ----------
        n : int, default 5
            How many rows. A negative number takes all rows but the first ones.

        Returns
        -------
        pandas.DataFrame, pandas.Series or numpy.ndarray
            As of `head`.

        Raises
        ------
        TypeError
            If ``n`` is not an integer.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/tail", pd.DataFrame({"x": range(10)}))
        >>> snap.tail(2)["x"].tolist(), len(snap.tail(-7))
        ([8, 9], 3)
        >>> cn.delete("docs/tail")
        """
        rows = whole_number(n, "n")
        part: Part = self[max(len(self) - rows, 0) :] if rows >= 0 else self[-rows:]
        return part

    def to_batches(self, max_chunksize: int | None = None) -> list[pa.RecordBatch]:
        """Open the table as record batches of Arrow. Nothing is copied.

        Parameters
        ----------
        max_chunksize : int, optional
            The most rows of a batch. By default as many as possible.

        Returns
        -------
        list of pyarrow.RecordBatch

        Raises
        ------
        ValueError, TypeError
            If ``max_chunksize`` is not an integer >= 1.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/to-batches", pd.DataFrame({"x": range(10)}))
        >>> [batch.num_rows for batch in snap.to_batches(4)]
        [4, 4, 2]
        >>> cn.delete("docs/to-batches")
        """
        return list(self.to_arrow().to_batches(max_chunksize=_chunk_size(max_chunksize)))

    def to_reader(self, max_chunksize: int | None = None) -> pa.RecordBatchReader:
        """Open the table as a stream of record batches. Nothing is copied.

        Parameters
        ----------
        max_chunksize : int, optional
            As in `to_batches`.

        Returns
        -------
        pyarrow.RecordBatchReader

        Raises
        ------
        ValueError, TypeError
            As in `to_batches`.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/to-reader", pd.DataFrame({"x": range(10)}))
        >>> sum(batch.num_rows for batch in snap.to_reader(4))
        10
        >>> cn.delete("docs/to-reader")
        """
        return self.to_arrow().to_reader(max_chunksize=_chunk_size(max_chunksize))

    # -- to other libraries --------------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.to_numpy(), dtype=dtype, copy=copy)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the table to any library that speaks the Arrow PyCapsule protocol; nothing is copied."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        """Export the schema."""
        return self.schema.__arrow_c_schema__()


def _chunk_size(max_chunksize: int | None) -> int | None:
    if max_chunksize is None:
        return None
    rows = whole_number(max_chunksize, "max_chunksize")
    if rows < 1:
        raise ValueError(f"max_chunksize must be >= 1 row, got {rows}")
    return min(rows, (1 << 63) - 1)
