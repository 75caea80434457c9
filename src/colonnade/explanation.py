"""How pandas and Polars read each column of a table, what that copies, and why: what ``explain`` returns.

Does not depend on: how it was found out, how it is drawn in a notebook. pandas is imported only for `to_pandas`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from colonnade.displayed import displayed, to_text

if TYPE_CHECKING:
    import pandas as pd


class ColumnReport(NamedTuple):
    """How pandas reads one column.

    ``role`` is ``column`` or ``index``. ``nbytes`` is the size of its Arrow buffers. ``copied`` is how many bytes are
    written for pandas (for Python objects: the bytes of the pointers), and ``why`` is the reason; it is empty if
    nothing is copied. ``polars`` is the reason why Polars converts the column, empty if it does not; None for a table
    that is not stored.
    """

    column: Any
    role: str
    arrow_type: str
    dtype: str
    nbytes: int
    nulls: int
    copied: int
    why: str
    polars: str | None = None

    @property
    def zero_copy(self) -> bool:
        """Whether pandas reads the column without a copy."""
        return not self.why


@displayed
class Explanation(tuple[ColumnReport, ...]):
    """The reports of a table's columns, in order. It prints as a table."""

    __slots__ = ()

    def to_pandas(self) -> pd.DataFrame:
        """Make a frame with one row for each column and the fields of `ColumnReport`."""
        import pandas as pd

        return pd.DataFrame.from_records(self, columns=list(ColumnReport._fields))

    def __repr__(self) -> str:
        return to_text(self)
