"""The columns of the tables that summaries and the command line share.

Does not depend on: where rows come from, how a table is printed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow.types as pt

from colonnade._names import TableInfo
from colonnade.display.fitting import format_age, one_line
from colonnade.display.table import Column, Justify
from colonnade.sizes import format_size

TABLES = (
    Column("name", lambda table: one_line(table.name)),
    Column("version", lambda table: f"{table.version} live" if table.live else str(table.version), "right"),
    Column("rows", lambda table: f"{table.rows:,}", "right"),
    Column("columns", lambda table: f"{table.columns:,}", "right"),
    Column("size", lambda table: format_size(table.nbytes), "right"),
    Column("age", lambda table: format_age(table.created), "right"),
)
_META = Column("meta", lambda table: one_line(json.dumps(table.meta)[:_LONGEST]) if table.meta else "")
_LONGEST = 60  # letters that are shown of the metadata that the user gave


def tables_columns(tables: Sequence[TableInfo]) -> Sequence[Column]:
    """Give the columns of a list of tables; that of the metadata only if one of them has any."""
    return [*TABLES, _META] if any(table.meta for table in tables) else TABLES


_NAME = Column("column", lambda report: one_line(report.column))
_ROLE = Column("role", lambda report: report.role)
_TYPES = (
    Column("arrow type", lambda report: one_line(report.arrow_type)),
    Column("pandas dtype", lambda report: one_line(report.dtype)),
    Column("size", lambda report: format_size(report.nbytes), "right"),
    Column("nulls", lambda report: f"{report.nulls:,}", "right"),
)
_COPIED = Column("copied", lambda report: format_size(report.copied), "right")
_OPENS = Column("opens", lambda report: one_line(report.why or "zero-copy"))
_NAME_AND_ROLE = Column("column", lambda report: _NAME.cell(report) + (" (index)" if report.role == "index" else ""))

REPORTS = (_NAME, _ROLE, *_TYPES, _OPENS)  # the command line's
SHORT_REPORTS = (_NAME_AND_ROLE, *_TYPES, _OPENS)
FULL_REPORTS = (_NAME_AND_ROLE, *_TYPES, _COPIED, _OPENS)


def justify(arrow_type: Any) -> Justify:
    """Say on which side values of an Arrow type stand: numbers on the right."""
    numeric = pt.is_integer(arrow_type) or pt.is_floating(arrow_type) or pt.is_decimal(arrow_type)
    return "right" if numeric else "left"
