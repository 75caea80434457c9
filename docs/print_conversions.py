"""Print docs/conversions.md from the table that the code itself goes by."""

import sys

from colonnade.rules import RULES, TARGETS, Reading

HEAD = """# How pandas reads each column

Printed from `src/colonnade/rules.py` by `make docs`; in both tables the first row that fits a column is taken.
`colonnade.explain(table)`, `Snapshot.explain()` and `colonnade explain NAME` report it for a given table.

## Which dtype `to_pandas` gives

For columns whose dtype neither `types_mapper`, nor an Arrow extension type, nor the `pandas` metadata gives; strings
become `str`.

| Arrow type | nulls | with the option | pandas dtype |
| --- | --- | --- | --- |
"""

READ = """
## How a column of that dtype is read

From a table in memory (`to_pandas`), and from a stored table (`get`, `Snapshot.to_pandas`), where the body already
holds what pandas wants.

| Arrow type | pandas dtype | nulls | `to_pandas` | stored |
| --- | --- | --- | --- | --- |
"""

IN_MEMORY = {
    Reading.VALUES: "copied; with `split_blocks`, one chunk and no nulls: in place",
    Reading.BYTES: "bits to bytes",
    Reading.FLOAT64: "to float64, NaN where null",
    Reading.SCALED: "multiplied, overflow checked",
    Reading.CODES: (
        "indices to codes, -1 where null, bounds checked; of one chunk, no nulls and the codes' width: in place"
    ),
    Reading.MASKED: "copied, and a mask of bytes; floats by pandas, because it masks NaN too",
    Reading.STRING: "wrapped",
    Reading.ARROW: "wrapped",
    Reading.INTERVAL: "by pandas",
    Reading.REPEATED: "Python objects, each distinct one made once",
    Reading.CONVERTED: "by PyArrow",
}
STORED = {
    Reading.VALUES: "zero-copy: Arrow's own values",
    Reading.BYTES: "zero-copy: a pandas buffer of one byte a boolean",
    Reading.FLOAT64: "zero-copy: a pandas buffer of float64, NaN where null",
    Reading.SCALED: "does not occur",
    Reading.CODES: "zero-copy: Arrow's indices; a pandas buffer with -1 for nulls or another width",
    Reading.MASKED: "zero-copy: Arrow's own values (for booleans a pandas buffer of bytes), and a byte mask",
    Reading.STRING: "zero-copy: the Arrow array itself",
    Reading.ARROW: "zero-copy: the Arrow array itself",
    Reading.INTERVAL: "zero-copy: Arrow's own values of both ends",
    Reading.REPEATED: "converted by PyArrow",
    Reading.CONVERTED: "converted by PyArrow",
}
NULLS = {True: "with", False: "without", None: "with or without"}
TAIL = """
## Where it is not PyArrow's result

{differences}
"""
DIFFERENCES = (
    "Several columns of one name: PyArrow 26 reads all of them as the dtype of the last. Here each has its own.",
    "`split_blocks=True` with run ends, or Arrow extension types that have no pandas dtype: PyArrow 26 cannot.",
    "`zero_copy_only=True`: PyArrow looks at NumPy's blocks alone, and refuses extension dtypes that need no copy. "
    "Here any column that would be copied is named, strings and masked arrays among them, and others pass.",
    "`types_mapper` is called once for each type, not for each column.",
    "`from_pandas` never refers to memory that the frame's owner may write to, unless `copy=False`.",
)


def page() -> str:
    """The whole page."""
    targets = [f"| {t.arrow} | {NULLS[t.nulls]} | {t.option and f'`{t.option}`'} | {t.dtype} |" for t in TARGETS]
    rows = []
    for rule in RULES:
        note = f" ({rule.note})" if rule.note else ""
        in_memory = "by pandas" if rule.arrow == "extension" else IN_MEMORY[rule.reading] + note
        ways = f"{in_memory} | {STORED[rule.reading]}"
        rows.append(f"| {rule.arrow} | {rule.dtype} | {NULLS[rule.nulls]} | {ways} |")
    tail = TAIL.format(differences="\n".join(f"- {difference}" for difference in DIFFERENCES))
    return HEAD + "\n".join(targets) + "\n" + READ + "\n".join(rows) + "\n" + tail


if __name__ == "__main__":
    sys.stdout.write(page())
