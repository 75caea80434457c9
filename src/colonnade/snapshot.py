"""A snapshot and its views: pandas, PyArrow, Polars, NumPy, buffers.

Does not depend on: how its file is opened (`_attached`), how a name leads to it (`_reference`, `storage`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from colonnade import arguments
from colonnade._attached import Attached
from colonnade._reference import Reference
from colonnade.displayed import displayed
from colonnade.format.read.ndarray import read_bytes, read_ndarray, values_buffer, view_of
from colonnade.format.seal import Seal
from colonnade.storage import paths

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl

    from colonnade.explanation import Explanation


@displayed
class Snapshot(Attached):
    """One immutable version of a named table, or a table that is shared without a name.

    Made by `colonnade.open`, `put`, `load` and `share`. It holds one file descriptor until it is closed or collected.
    The frames and tables made from it hold none, and outlive it. It may be used by several threads.

    Pickling it gives a reference of a few hundred bytes: store, name, version, identity and sizes, but no data.
    Unpickling one opens nothing and never fails. The table is opened when its values are first used, by the thread that
    uses them, and that raises NotFoundError if the table is gone. Copies (`copy.copy`, `copy.deepcopy`), and references
    that are unpickled in a process that has the snapshot open, share its mapping, whatever its name leads to meanwhile.

    Examples
    --------
    >>> import colonnade as cn, pandas as pd
    >>> snap = cn.put("docs/snapshot", pd.DataFrame({"x": [1.5, None], "s": ["a", "b"]}))
    >>> snap.version, snap.num_rows, snap.schema.names
    (1, 2, ['x', 's'])
    >>> snap.to_pandas()["x"].sum()
    np.float64(1.5)
    >>> cn.delete("docs/snapshot")
    """

    def to_pandas(
        self,
        *,
        columns: Iterable[Any] | str | None = None,
        writable: bool = True,
        dtype_backend: Literal["numpy_nullable", "pyarrow"] | None = None,
        types_mapper: Callable[[pa.DataType], Any] | None = None,
    ) -> pd.DataFrame:
        """Open the table as pandas: nothing is copied, whatever the size.

        Parameters
        ----------
        columns : iterable of labels or str, optional
            Take these columns, in this order, and the index. A string is one label. If a label is named twice, the
            second column is a copy, so that each can be written to separately.
        writable : bool, default True
            True: the frame may be written to. The kernel copies only the pages that are written, and the store, other
            processes and other frames do not see the change. False: the arrays are read-only.
        dtype_backend : {"numpy_nullable", "pyarrow"}, optional
            Use these dtypes instead of those that were put, as ``pandas.read_parquet`` does. The masked dtypes of
            pandas are copied; Arrow's are not.
        types_mapper : callable, optional
            As in ``pyarrow.Table.to_pandas``: it is called with each Arrow type and returns a pandas dtype or None.
            With either of these two options the frame is converted from Arrow, and ``writable`` has no effect.

        Returns
        -------
        pandas.DataFrame
            Equal to the frame that was put; for an Arrow table, equal to ``table.to_pandas()``. A Series comes back as
            a Series unless ``columns`` are named (type checkers see a DataFrame). Columns of Python objects are
            converted now, see `explain`. A NumPy array becomes ``pandas.DataFrame(array.reshape(len(array), -1))``,
            without a copy if pandas has the dtype.

        Raises
        ------
        NotFoundError
            If there is no column of a label.
        CorruptSnapshotError
            If the file is damaged.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/pandas", pd.DataFrame({"x": [1, 2], "y": [0.5, 1.5]}))
        >>> snap.to_pandas(columns="y")["y"].sum(), snap.to_pandas(dtype_backend="pyarrow")["x"].dtype
        (np.float64(2.0), int64[pyarrow])
        >>> cn.delete("docs/pandas")
        """
        from colonnade.format.read.table import read_pandas

        arguments.check_flags(writable=writable)
        labels = arguments.labels(columns)
        frame: pd.DataFrame
        if dtype_backend is not None or types_mapper is not None:
            from colonnade._dtype_backend import mapper_of, read_mapped

            mapper = mapper_of(dtype_backend, types_mapper)
            assert mapper is not None
            table = self.to_arrow(validate="full")
            with self._located():
                frame = read_mapped(self._stored_file(writable=False), table, labels, mapper)
        else:
            with self._located():
                frame = read_pandas(self._stored_file(writable=writable), labels)
        return frame

    def to_arrow(self, *, validate: Literal["full"] | None = None) -> pa.Table:
        """Open the table as PyArrow: one chunk a column, over the shared mapping; nothing is copied.

        Parameters
        ----------
        validate : {"full", None}, default None
            "full" first looks at every value that Arrow reads. Text takes 1 s a GB, numbers take no time.

        Returns
        -------
        pyarrow.Table
            With the ``pandas`` metadata, so that its ``to_pandas`` gives the frame that was put.

        Raises
        ------
        CorruptSnapshotError
            If the file is damaged; values are looked at only with ``validate="full"``.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/arrow", pd.DataFrame({"x": [1, 2], "s": ["a", None]}))
        >>> snap.to_arrow()["s"].to_pylist()
        ['a', None]
        >>> cn.delete("docs/arrow")
        """
        batch = self._batch()
        if validate is not None:
            self._check_values(batch)
        return pa.Table.from_batches([batch])

    def to_polars(self, *, validate: Literal["full"] | None = None) -> pl.DataFrame:
        """Open the table as Polars. Needs the extra ``polars``.

        Numbers, times, booleans, and text that has views (put from Polars, or with ``views=True``) are not copied,
        whatever their size. `explain` says which columns Polars converts, and why.

        Parameters
        ----------
        validate : {"full", None}, default None
            "full" first looks at every value, because Polars follows offsets and trusts text. Text takes 1 s a GB. For
            files of other users this is always done, once in a process.

        Returns
        -------
        polars.DataFrame
            A polars.Series if a Series of Polars or pandas was put.

        Raises
        ------
        CorruptSnapshotError, UnsupportedTypeError, ModuleNotFoundError
            If the file is damaged, Polars cannot read the table, or Polars is not installed.

        Examples
        --------
        >>> import colonnade as cn, polars as pl
        >>> snap = cn.put("docs/polars", pl.DataFrame({"x": [1, 2, 3], "s": ["a", "b", "c"]}))
        >>> snap.to_polars().filter(pl.col("x") > 1)["s"].to_list()
        ['b', 'c']
        >>> cn.delete("docs/polars")
        """
        try:
            from colonnade.interop.polars import from_arrow
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_polars() needs Polars: pip install 'colonnade[polars]'") from error
        from colonnade.format.read.text_views import batch_with_views, check_views

        is_checked = validate is not None or self._opened().owner != os.geteuid()
        if is_checked:
            self._check_values(self._batch())
        with self._located():
            file = self._stored_file(writable=False)
            if is_checked:
                check_views(file)
            batch = batch_with_views(file)
        frame = from_arrow(pa.Table.from_batches([batch]))
        series: Any = frame.to_series() if self._is_one_series() else None
        return frame if series is None else series

    def scan(self) -> pl.LazyFrame:
        """Open the table as a lazy query of Polars, which takes only the columns and rows that the query needs.

        Returns
        -------
        polars.LazyFrame

        Raises
        ------
        CorruptSnapshotError, UnsupportedTypeError, ModuleNotFoundError
            As `to_polars`. All values are looked at.

        Examples
        --------
        >>> import colonnade as cn, polars as pl
        >>> snap = cn.put("docs/scan", pl.DataFrame({"x": [1, 2, 3], "s": ["a", "b", "c"]}))
        >>> snap.scan().filter(pl.col("x") > 1).select("s").collect()["s"].to_list()
        ['b', 'c']
        >>> cn.delete("docs/scan")
        """
        try:
            from colonnade.interop.polars import scan
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("scan() needs Polars: pip install 'colonnade[polars]'") from error
        return scan(self.to_arrow(validate="full"))

    def _is_one_series(self) -> bool:
        """Whether a Series was put, whose index takes no column."""
        return self.num_columns == 1 and self._stored_file(writable=False).series is not None

    def to_numpy(self, *, writable: bool = True) -> npt.NDArray[Any]:
        """Open what was put as a NumPy array, or a table as an array of shape (rows, columns).

        Parameters
        ----------
        writable : bool, default True
            As in `to_pandas`.

        Returns
        -------
        numpy.ndarray
            An array comes back with its shape, dtype and order, bytes as uint8: a view, whatever the size. So does a
            table that is one block (all columns of one dtype). Other tables are copied together as
            ``DataFrame.to_numpy`` does. If some of their columns are not NumPy's own (text, categories), the whole
            table is validated first, because the copy follows offsets and codes.

        Raises
        ------
        CorruptSnapshotError
            If the file is damaged.

        Examples
        --------
        >>> import colonnade as cn, numpy as np
        >>> snap = cn.put("docs/array", np.zeros((1000, 3, 32), "float32"))
        >>> snap.to_numpy().shape, snap.to_arrow()["value"].type
        ((1000, 3, 32), FixedShapeTensorType(extension<arrow.fixed_shape_tensor[value_type=float, shape=[3,32]]>))
        >>> cn.delete("docs/array")
        """
        arguments.check_flags(writable=writable)
        with self._located():
            file = self._stored_file(writable=writable)
            if file.array is not None:
                return read_ndarray(file, file.array)
            from colonnade.format.read.table import read_values

            return read_values(file)

    def to_buffer(self) -> pa.Buffer:
        """Open what was put as its bytes, read-only, over the shared mapping: nothing is copied.

        For bytes, the buffer is those bytes. For a NumPy array, it is the array's memory in storage order. For a table
        of one column, it is the column's values, if each takes whole bytes and none is null.

        Returns
        -------
        pyarrow.Buffer
            ``memoryview()`` and ``bytes()`` take it. From Python 3.12 on, ``memoryview(snapshot)`` is that of
            `to_numpy`, with shape and format.

        Raises
        ------
        UnsupportedTypeError
            For another table.

        Examples
        --------
        >>> import colonnade as cn
        >>> cn.put("docs/bytes", b"any bytes-like object").close()
        >>> bytes(cn.open("docs/bytes").to_buffer()[:9])
        b'any bytes'
        >>> cn.delete("docs/bytes")
        """
        with self._located():
            file = self._stored_file(writable=False)
            return values_buffer(self._called, file) if file.array is None else read_bytes(file, file.array)

    def __buffer__(self, flags: int) -> memoryview:
        with self._located():
            file = self._stored_file(writable=True)
            if file.array is None:
                raise BufferError(f"{self._called} is a table, whose memory is more than one buffer; see to_buffer()")
            array = read_ndarray(file, file.array)
        return view_of(self._called, array)

    def __narwhals_dataframe__(self) -> Any:
        """Let Narwhals take the table, ``nw.from_native(snapshot)``, as a PyArrow table; nothing is copied."""
        from colonnade.interop.narwhals import wrapped

        return wrapped(self.to_arrow(validate="full"))

    def locate(self, keys: Any) -> int | npt.NDArray[np.int64]:
        """Find rows by key, in a table that was put with ``key=``.

        The key index is read directly from the file: nothing is built, and no memory is taken.

        Parameters
        ----------
        keys : scalar or array
            Values of the key column. If the key has several columns: a tuple, a list of tuples, a MultiIndex, or a
            frame or mapping with the columns' names.

        Returns
        -------
        int or numpy.ndarray of int64, shape (keys,)
            The position of the first row of each key; -1 where there is none.

        Raises
        ------
        ColonnadeError
            The table has no key.
        TypeError
            The values are of another kind than the key column, as text for numbers.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> users = pd.DataFrame({"user": [12, 7, 12], "city": ["Oslo", "Rome", "Bern"]})
        >>> snap = cn.put("docs/users", users, key="user")
        >>> snap.locate(7), snap.locate([12, 99])
        (1, array([ 0, -1]))
        >>> snap.rows(12)
           user  city
        0    12  Oslo
        2    12  Bern
        >>> cn.delete("docs/users")
        """
        with self._located():
            return self._lookup().locate(keys)

    def rows(self, keys: Any) -> pd.DataFrame:
        """Take all rows of some keys as a frame, from a table that was put with ``key=``.

        The rows of the first key come first, in the table's order, then those of the next key, and so on. A key without
        rows adds none.

        Parameters
        ----------
        keys : scalar or array
            As in `locate`.

        Returns
        -------
        pandas.DataFrame
            A pandas.Series of a table that was put as one.

        Raises
        ------
        ColonnadeError
            The table has no key.
        TypeError
            The values are of another kind than the key column, as text for numbers.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> users = pd.DataFrame({"user": [12, 7, 12], "city": ["Oslo", "Rome", "Bern"]})
        >>> cn.put("docs/rows", users, key="user").rows([7, 12])["city"].tolist()
        ['Rome', 'Oslo', 'Bern']
        >>> cn.delete("docs/rows")
        """
        with self._located():
            return self._lookup().rows(keys)

    def explain(self) -> Explanation:
        """Report for each column and index level how pandas reads it, and why if that is not zero-copy.

        For tables that are not stored, see `colonnade.explain`.

        Returns
        -------
        Explanation
            A sequence of reports, which prints as a table.

        Raises
        ------
        CorruptSnapshotError
            If the file is damaged.

        Examples
        --------
        >>> import colonnade as cn, pandas as pd
        >>> snap = cn.put("docs/explain", pd.DataFrame({"x": [1, 2], "s": ["a", None]}))
        >>> [(report.column, report.zero_copy) for report in snap.explain()]
        [('x', True), ('s', True)]
        >>> cn.delete("docs/explain")
        """
        from colonnade.format.explain import explain

        with self._located():
            return explain(self._stored_file(writable=False))

    # -- as any object -------------------------------------------------------------------------------------------------

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        segment = self._segment
        # A copy is in a store of this host, whatever the store of its origin.
        here = self._reference.store if segment is None else paths.store_of(segment.path, self.name)
        store, name, file, owner, seal, locations = self._reference.advertised(here)
        return unpickle, ((store, name, file, owner), tuple(seal), locations)

    def __copy__(self) -> Snapshot:
        return Snapshot(self._reference, self._opened())

    def __deepcopy__(self, _: dict[int, Any]) -> Snapshot:
        return self.__copy__()

    def __repr__(self) -> str:
        title = f"{self.name!r} version {self.version}" if self.name else "without a name"
        return (
            f"<colonnade.Snapshot {title}: {self.num_rows:,} rows x {self.num_columns:,} columns, "
            f"{self.nbytes:,} bytes>"
        )

    def __rich_repr__(self) -> Iterator[Any]:
        yield self.name
        yield "version", self.version
        yield "rows", self.num_rows
        yield "columns", self.num_columns
        yield "nbytes", self.nbytes


def unpickle(where: tuple[str, str, str, int], seal: tuple[Any, ...], locations: tuple[str, ...]) -> Snapshot:
    """Make a snapshot of what `Snapshot.__reduce__` gave. It is opened when it is used."""
    return Snapshot(Reference(*where, Seal(*seal), locations))
