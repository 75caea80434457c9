"""What can be put, as types: protocols, not libraries.

Does not depend on: any library. All of it is for type checkers; `interop.arrow` asks for the same at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    import numpy.typing as npt
    import pandas as pd
    from _typeshed import ReadableBuffer


class ArrowStream(Protocol):
    """A table, by Arrow's C stream interface: a frame of Polars, a relation of DuckDB."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class ArrowArray(Protocol):
    """A table of one batch, by Arrow's C data interface."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...


class Lazy(Protocol):
    """A query that gives a table: Polars' LazyFrame."""

    def collect(self) -> ArrowStream: ...


if TYPE_CHECKING:
    # Not PyArrow's classes: they have no types, and a union with Any takes everything. They are ArrowStreams.
    # NumPy's arrays are named: before Python 3.12 their types do not say that they are buffers.
    Data: TypeAlias = (
        pd.DataFrame
        | pd.Series[Any]
        | ArrowStream
        | ArrowArray
        | Lazy
        | npt.NDArray[Any]
        | ReadableBuffer
        | Mapping[Any, Any]
    )
