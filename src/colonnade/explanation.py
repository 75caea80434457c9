"""How pandas reads each column of a table, what that copies, and why: the result of both functions ``explain``.

Does not depend on: how it was found out, how it is drawn in a notebook. pandas is imported only for `to_pandas`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from colonnade.displayed import displayed

if TYPE_CHECKING:
    import pandas as pd

# How many columns the text form lists: the first and the last half of this number.
_MOST = 60
_NUMBERS = ("nbytes", "nulls", "copied")


class ColumnReport(NamedTuple):
    """How pandas reads one column.

    ``role`` is ``column`` or ``index``. ``nbytes`` is the size of its Arrow buffers. ``copied`` is how many bytes are
    written for pandas (for Python objects: the bytes of the pointers), and ``why`` is the reason; it is empty if
    nothing is copied.
    """

    column: Any
    role: str
    arrow_type: str
    dtype: str
    nbytes: int
    nulls: int
    copied: int
    why: str

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
        nbytes, copied = sum(report.nbytes for report in self), sum(report.copied for report in self)
        return f"{_as_text(self)}\n\nThe columns hold {nbytes:,} bytes; {copied:,} are written for pandas."


def _as_text(reports: tuple[ColumnReport, ...]) -> str:
    if not reports:
        return "no columns"
    half = _MOST // 2
    shown = reports if len(reports) <= _MOST else (*reports[:half], *reports[-half:])
    lines = [list(ColumnReport._fields), *([_printable(str(value)) for value in report] for report in shown)]
    if len(shown) < len(reports):
        lines.insert(half + 1, ["..."] * len(ColumnReport._fields))
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    rows = (
        "  ".join(
            text.rjust(width) if name in _NUMBERS else text.ljust(width)
            for name, text, width in zip(ColumnReport._fields, line, widths, strict=True)
        )
        for line in lines
    )
    return "\n".join(row.rstrip() for row in rows)


def _printable(text: str) -> str:
    """Escape what a terminal would obey: names of columns come from files."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
