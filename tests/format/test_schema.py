"""The layout metadata: every structure comes back from JSON, wrong JSON is one clear error, the page is up to date."""

import subprocess
import sys
from pathlib import Path

import pytest

import colonnade as cn
from colonnade.format import schema

ROOT = Path(__file__).parent.parent.parent

FRAME = schema.FrameLayout(
    rows=5,
    blocks=[schema.Block("int64", 0, 40, schema.Run(0, 2)), schema.Block(schema.ZonedDtype("ns", "datetime:UTC"), 128, 40, [3, 5])],
    columns=[
        (2, schema.Masked("Int64", 64, 104)),
        (4, schema.Wrapped(schema.StringDtype("pyarrow", "nan"), 4)),
        (6, schema.Wrapped(None, 6)),
        (7, schema.Converted("object", 7, schema.Objects("Timestamp", "NaT", "ns", "UTC"))),
        (8, schema.Categorical(8, "int8", True, schema.Categories("str", "n", "D"), 8)),
        (9, schema.Interval(schema.IntervalDtype("int64", "both"), 8, 16)),
    ],
    index=schema.MultiIndexOfRows([schema.RangeIndex(0, 5, 1)], [schema.Codes("int8", 8)], [None]),
    index_fields=[10],
    labels=schema.ListIndex(
        ["a", 1, 1.0, True, None, 2**70, schema.TupleLabel([1, schema.FloatLabel("nan")])], "object", "name"
    ),
    attrs="",
    unique_labels=True,
)  # fmt: skip
ARRAY = schema.ArrayLayout(
    3, schema.StructureDtype(["a"], [schema.SubarrayDtype("<f8", [2])], [0], 16, ["t"]), [3], "C", 64
)


@pytest.mark.parametrize("layout", [FRAME, ARRAY])
def test_it_comes_back(layout):
    decoded = schema.decode(schema.encode(layout))
    assert decoded == layout
    assert repr(decoded) == repr(layout)  # 1, 1.0 and True are equal


GOOD = schema.encode(FRAME)
WRONG = {
    "nothing": (b"", "truncated"),
    "no JSON": (GOOD[:-1], "truncated"),
    "no object": (b"[]", "Expected `object`"),
    "no kind": (b"{}", "missing required field `kind`"),
    "an unknown kind": (GOOD.replace(b'"kind":"frame"', b'"kind":"tables"'), "Invalid value 'tables'"),
    "a missing key": (GOOD.replace(b'"rows":5,', b""), "missing required field `rows`"),
    "an unknown key": (GOOD.replace(b'"rows":5,', b'"rows":5,"columns_of":[],'), "unknown field `columns_of`"),
    "another type": (GOOD.replace(b'"rows":5', b'"rows":"5"'), r"Expected `int`, got `str` - at `\$\.rows`"),
    "a float": (GOOD.replace(b'"at":128', b'"at":128.5'), r"Expected `int`, got `float` - at `\$\.blocks\[1\]\.at`"),
    "a negative number": (GOOD.replace(b'"at":128', b'"at":-128'), r"Expected `int` >= 0 - at `\$\.blocks\[1\]\.at`"),
    "a number past all sizes": (GOOD.replace(b'"at":128', b'"at":9223372036854775808'), r"\$\.blocks\[1\]\.at"),
    "null": (GOOD.replace(b'"rows":5', b'"rows":null'), r"got `null` - at `\$\.rows`"),
    "brackets": (b"[" * 100_000, "Expected `object`"),
    "labels nested too deep": (
        GOOD.replace(b'"values":["a"', b'"values":[' + b'{"kind":"tuple","items":[' * 50_000),
        "recursion",
    ),
    "text that is not UTF-8": (GOOD.replace(b"int64", b"int6\xff"), "utf-8"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_json(what):
    text, reason = WRONG[what]
    with pytest.raises(
        cn.CorruptSnapshotError, match=rf"^invalid layout metadata \(schema key 'colonnade'\): .*{reason}"
    ):
        schema.decode(text)


def test_the_page_is_printed_from_it():
    program = ROOT / "docs" / "print_format.py"
    printed = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    assert printed == (ROOT / "docs" / "format.md").read_text(), "run `make docs`"
