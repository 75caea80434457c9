"""What is said of a table's columns: how pandas reads each, what that copies, and why.

Knows: how a report looks in a terminal and in a notebook. Does not depend on: how it was found out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from colonnade.displayed import displayed


class ColumnReport(NamedTuple):
    """How pandas reads one column.

    ``role`` is ``column`` or ``index``; ``nbytes`` are its Arrow buffers'; ``copied`` is how many bytes are written for
    pandas (of Python objects: the pointers), and ``why`` says what for. It is empty where nothing is copied.
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
        """Whether pandas reads the column where it is."""
        return not self.why


@displayed
class Explanation(tuple[ColumnReport, ...]):
    """The reports of a table's columns, in order. It prints as a table."""

    __slots__ = ()

    def to_pandas(self) -> pd.DataFrame:
        """One row a column."""
        return pd.DataFrame.from_records(self, columns=list(ColumnReport._fields))

    def __repr__(self) -> str:
        with pd.option_context("display.width", None, "display.max_colwidth", 100, "display.max_columns", None):
            table = pd.DataFrame(list(self), columns=list(ColumnReport._fields), dtype=object)
            for name in ("column", "why") if self else ():
                # Not by pandas' own strings, in which None is not 'None'.
                texts = [str(value) for value in table[name]]
                table[name] = pd.Series([text.ljust(max(map(len, texts))) for text in texts], dtype=object)
            shown = table.to_string(index=False, max_rows=60, justify="left") if self else "no columns"
        held, copied = sum(report.nbytes for report in self), sum(report.copied for report in self)
        return f"{shown}\n\nThe columns hold {held:,} bytes; {copied:,} are written for pandas."
