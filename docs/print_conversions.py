"""Print docs/conversions.md from the table that the code itself goes by."""

import sys

from colonnade.convert.rules import RULES, Reading

HEAD = """# How pandas reads each column

Printed from `src/colonnade/convert/rules.py` by `make docs`; the first row that fits a column is taken.
`Snapshot.explain()` and `colonnade info NAME` tell it for a given table.

| Arrow type | pandas dtype | nulls | read from | on open |
| --- | --- | --- | --- | --- |
"""

FROM = {
    Reading.VALUES: "Arrow's own values",
    Reading.BYTES: "a twin: one byte a boolean",
    Reading.FLOAT64: "a twin: float64, NaN where null",
    Reading.CODES: "Arrow's indices; a twin with -1 where there are nulls or another width is needed",
    Reading.MASKED: "Arrow's own values (a twin of bytes for booleans), and a twin of one byte a null",
    Reading.STRING: "the Arrow array itself",
    Reading.ARROW: "the Arrow array itself",
    Reading.INTERVAL: "Arrow's own values of both ends",
    Reading.CONVERTED: "Arrow's values, by PyArrow",
}
NULLS = {True: "with", False: "without", None: "with or without"}


def page() -> str:
    """The whole page."""
    rows = []
    for rule in RULES:
        cost = "converted" if rule.reading is Reading.CONVERTED else "zero-copy"
        note = f": {rule.note}" if rule.note else ""
        rows.append(f"| {rule.arrow} | {rule.dtype} | {NULLS[rule.nulls]} | {FROM[rule.reading]} | {cost}{note} |")
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
