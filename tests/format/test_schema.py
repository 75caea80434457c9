"""The layout metadata: every structure comes back from JSON, wrong JSON is one clear error, the page is up to date."""

import json
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
        (7, schema.Converted("object", 7, schema.Objects("Timestamp", "NaT", "ns", "UTC"), schema.Nulls(["None", "nan"], 8))),
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
    "nothing": (b"", "Expecting value"),
    "no JSON": (GOOD[:-1], "Expecting"),
    "two documents": (GOOD + b"{}", "Extra data"),
    "no object": (b"[]", r"expected an object, got a list at \$$"),
    "no kind": (b"{}", r"missing key 'kind' at \$$"),
    "an unknown kind": (GOOD.replace(b'"kind":"frame"', b'"kind":"tables"'), "unknown kind 'tables', expected 'frame'"),
    "a kind that is not text": (GOOD.replace(b'"kind":"frame"', b'"kind":[]'), r"unknown kind \[\]"),
    "a part of another kind": (GOOD.replace(b'"kind":"masked"', b'"kind":"mask"'), r"unknown kind 'mask'.* at \$\.columns\[0\]\[1\]"),
    "a kind where no other may stand": (GOOD.replace(b'"dtype":{"kind":"interval"', b'"dtype":{"kind":"zoned"'), r"expected the kind 'interval', got 'zoned' at \$\.columns\[5\]\[1\]\.dtype"),
    "a missing key": (GOOD.replace(b'"rows":5,', b""), r"missing key 'rows' at \$$"),
    "an unknown key": (GOOD.replace(b'"rows":5,', b'"rows":5,"columns_of":[],'), r"unknown key 'columns_of' at \$$"),
    "an unknown key of a part": (GOOD.replace(b'"stride":40', b'"stride":40,"step":1'), r"unknown key 'step' at \$\.blocks\[0\]$"),
    "another type": (GOOD.replace(b'"rows":5', b'"rows":"5"'), r"expected an integer, got text at \$\.rows$"),
    "a float": (GOOD.replace(b'"at":128', b'"at":128.5'), r"expected an integer, got a float at \$\.blocks\[1\]\.at$"),
    "a boolean": (GOOD.replace(b'"at":128', b'"at":true'), r"expected an integer, got a boolean at \$\.blocks\[1\]\.at$"),
    "a negative number": (GOOD.replace(b'"at":128', b'"at":-128'), r"from 0 to \d+, got -128 at \$\.blocks\[1\]\.at$"),
    "a number past all sizes": (GOOD.replace(b'"at":128', b'"at":9223372036854775808'), r"got 9223372036854775808 at \$\.blocks\[1\]\.at$"),
    "null": (GOOD.replace(b'"rows":5', b'"rows":null'), r"expected an integer, got null at \$\.rows$"),
    "no choice": (GOOD.replace(b'"na":"nan"', b'"na":"NULL"'), r"expected 'nan' or 'NA', got 'NULL' at \$\.columns\[1\]\[1\]\.dtype\.na$"),
    "a column without its position": (GOOD.replace(b"[4,{", b"[{"), r"expected a list of 2 items, got 1 at \$\.columns\[1\]$"),
    "a number that JSON has not": (GOOD.replace(b"1.0", b"NaN"), "JSON has no number NaN"),
    "a float past all floats": (GOOD.replace(b"1.0", b"1e999"), r"a number out of range at \$\.labels\.values\[2\]$"),
    "half of a surrogate pair": (GOOD.replace(b'"values":["a"', b'"values":["\\ud800"'), "surrogates not allowed"),
    "brackets": (b"[" * 100_000, "recursion"),
    "labels nested too deep": (
        GOOD.replace(b'"values":["a"', b'"values":[' + b'{"kind":"tuple","items":[' * 50_000),
        "recursion",
    ),
    "text that is not UTF-8": (GOOD.replace(b"int64", b"int6\xff"), "utf-8"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "utf-8"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_json(what):
    text, reason = WRONG[what]
    with pytest.raises(
        cn.CorruptSnapshotError, match=rf"^invalid layout metadata \(schema key 'colonnade'\): .*{reason}"
    ):
        schema.decode(text)


def test_default_values_are_not_written_and_may_be():
    document = json.loads(GOOD)
    defaults = {"key": None, "series": None, "meta": "", "views": []}
    assert not document.keys() & defaults.keys()
    assert schema.decode(json.dumps(document | defaults).encode()) == FRAME
    assert json.loads(schema.encode(FRAME.replaced(meta="{}")))["meta"] == "{}"


def test_one_text_is_decoded_once_and_another_is_not_taken_for_it():
    again = schema.decode(bytes(bytearray(GOOD)))
    assert again is schema.decode(GOOD)
    assert schema.decode(GOOD.replace(b'"at":128', b'"at":136')).blocks[1].at == 136


def test_a_long_text_is_not_kept():
    long = GOOD.replace(b'"attrs":""', b'"attrs":"' + b" " * (1 << 16) + b'"')
    assert schema.decode(long) == schema.decode(long)
    assert schema.decode(long) is not schema.decode(long)


def test_records_are_not_changed():
    block = FRAME.blocks[0]
    with pytest.raises(AttributeError, match=r"Block cannot be changed; use replaced\(\)"):
        block.at = 8
    assert block.replaced(at=8).at == 8
    assert block.at == 0
    assert hash(FRAME.columns[0][1]) == hash(schema.Masked("Int64", 64, 104))


@pytest.mark.parametrize("values", [(), ("int64", 0, 40), ("int64", 0, 40, [], 1)])
def test_records_have_all_their_fields(values):
    with pytest.raises(TypeError, match="Block has the fields dtype, at, stride, columns; got "):
        schema.Block(*values)


def test_the_page_is_printed_from_it():
    program = ROOT / "docs" / "print_format.py"
    printed = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True).stdout
    assert printed == (ROOT / "docs" / "format.md").read_text(), "run `make docs`"
