"""Text files as they occur in practice: each is read as pandas and PyArrow read it, or refused with one sentence."""

import io
import json
import random
import re

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc
import pytest

import colonnade as cn
from colonnade.io import text_blocks


@pytest.fixture(params=["one block", "small blocks"])
def load(request, store, tmp_path, monkeypatch):
    """Load bytes as a file, in one block and in blocks of a row or two."""
    if request.param == "small blocks":
        monkeypatch.setattr(text_blocks, "BLOCK", 8)

    def load(data, suffix=".csv", **options):
        (tmp_path / f"t{suffix}").write_bytes(data)
        return store.load("t", tmp_path / f"t{suffix}", **options).to_arrow()

    return load


# What PyArrow reads, and pandas too.
CSV = {
    "an empty line first": b"\na,b\n1,2\n3,4\n",
    "empty lines first": b"\n\r\n\na,b\n1,2\n",
    "a BOM": b"\xef\xbb\xbfa,b\n1,2\n",
    "a BOM, then an empty line": b"\xef\xbb\xbf\na,b\n1,2\n",
    "a BOM, then quotes": b'\xef\xbb\xbf"a",b\n1,2\n',
    "a line break in a quoted header": b'"a\nb",c\n1,2\n3,4\n',
    "CRLF in a quoted header": b'"a\r\nb",c\r\n1,2\r\n3,4\r\n',
    "a comma and quotes in a header": b'"a, ""x""",b\n1,2\n',
    "NUL in a header": b"a\x00b,c\n1,2\n",
    "NUL and a number in a header": b"a,a\x001\n1,2\n",
    "NUL in a value": b"a,b\nx\x00y,2\n",
    "CRLF": b"a,b\r\n1,2\r\n3,4\r\n",
    "CR": b"a,b\r1,2\r3,4\r",
    "empty lines between rows": b"a,b\n1,2\n\n3,4\n\n",
    "empty lines in one column": b"a\n1\n\n3\n",
    "no line break at the end": b"a,b\n1,2\n3,4",
    "line breaks in values": b'a,b\n"x\ny",2\n"z\n\n",3\n',
    "a quote within a value": b'a,b\n5" pipe,2\n6" pipe,3\n',
    "blanks in the header": b" a , b\n1,2\n",
    "floats late in the file": b"a\n" + b"1\n" * 20 + b"1.5\n",
    "an empty value late in the file": b"a,b\n" + b"1,2\n" * 20 + b",3\n",
}


@pytest.mark.parametrize("case", CSV)
def test_csv_as_pandas_and_pyarrow_read_it(case, load):
    data = CSV[case]
    result = load(data)
    read = pc.read_csv(io.BytesIO(data), parse_options=pc.ParseOptions(newlines_in_values=True))
    assert result.column_names == read.column_names
    assert result.to_pydict() == read.to_pydict()
    frame = pd.read_csv(io.BytesIO(data), keep_default_na=False, na_values=[""])
    assert [list(row.values()) for row in result.to_pylist()] == frame.astype(object).where(
        frame.notna(), None
    ).to_numpy().tolist()


@pytest.mark.parametrize(("delimiter", "data"), [
    ("\t", b"a\tb\n1\t2\n\t"), ("\t", b"a\tb\n1\t2\n\t\n\t\n"), (" ", b"a b\n1 2\n "), (",", b"a\nx\n  "), (";", b"a;b\n1;2\n;\n\n\r\n"),
])  # fmt: skip
@pytest.mark.parametrize("encoding", [None, "utf-8"])  # mapped, and read as a stream
def test_a_last_row_of_blanks_is_a_row(encoding, delimiter, data, load):
    parsing, converting = pc.ParseOptions(delimiter=delimiter), pc.ConvertOptions(strings_can_be_null=True)
    expected = pc.read_csv(io.BytesIO(data), parse_options=parsing, convert_options=converting)
    assert load(data, delimiter=delimiter, encoding=encoding).to_pydict() == expected.to_pydict()


def test_names_that_are_there_twice(load):
    result = load(b"a,a,a\x001,,\n1,2,3,4,5\n6,7,8,9,0\n")
    assert result.column_names == ["a", "a", "a\x001", "", ""]
    assert [column.to_pylist() for column in result.columns] == [[1, 6], [2, 7], [3, 8], [4, 9], [5, 0]]


def test_columns_of_a_folder_are_told_apart_by_name_and_number(store, tmp_path):
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "1.csv").write_bytes(b"a,b,a\n1,2,3\n")
    (tmp_path / "csv" / "2.csv").write_bytes(b"\nb,a\n4,5.5\n")
    table = store.load("t", tmp_path / "csv").to_arrow()
    assert table.column_names == ["a", "b", "a"]
    assert [column.to_pylist() for column in table.columns] == [[1, 5.5], [2, 4], [3, None]]


@pytest.mark.parametrize("data", [b"a,b\n", b"a,b", b"\n\na,b\r\n\r\n"])
def test_a_header_alone(data, load):
    result = load(data)
    assert (result.column_names, result.num_rows) == (["a", "b"], 0)
    assert load(data, types={"b": "float32"}).schema.types == [pa.null(), pa.float32()]


@pytest.mark.parametrize(("data", "type_", "values"), [
    (b"a\n18446744073709551615\n1\n", pa.uint64(), [18446744073709551615, 1]),
    (b"a\n1\n" + b"2\n" * 20 + b"18446744073709551615\n", pa.uint64(), [1, *[2] * 20, 18446744073709551615]),
    (b"a\n-1\n" + b"2\n" * 20 + b"18446744073709551615\n", None, ["-1", *["2"] * 20, "18446744073709551615"]),
    (b"a\n99999999999999999999999\n1\n", None, ["99999999999999999999999", "1"]),
    (b"a\n-9223372036854775809\n\n", None, ["-9223372036854775809"]),
    (b"a\n9223372036854775807\n1\n", pa.int64(), [9223372036854775807, 1]),
    (b"a\n1e20\n1\n", pa.float64(), [1e20, 1.0]),
    (b"a\n1.5\n99999999999999999999999\n", pa.float64(), [1.5, 1e23]),
])  # fmt: skip
def test_integers_that_64_bits_cannot_hold_are_not_rounded(data, type_, values, load):
    result = load(data).column("a")
    exact = [value if type_ else int(value) for value in result.to_pylist()]
    if type_ is None and pa.types.is_integer(result.type):
        pytest.fail("a type that cannot hold them")
    assert exact == [value if type_ else int(value) for value in values]


def test_integers_past_int64_of_json_lines(load):
    result = load(b'{"a": 18446744073709551615, "b": 1}\n{"a": 2, "b": 2}\n', ".jsonl")
    assert result.to_pydict() == {"a": [18446744073709551615, 2], "b": [1, 2]}
    assert load(b'{"a": 1e20}\n', ".jsonl").to_pydict() == {"a": [1e20]}


def test_types_that_change_late_become_text(load):
    rows = ["1"] * 30 + ["late", "2020-01-01"]
    assert load("\n".join(["a", *rows, ""]).encode()).column("a").to_pylist() == rows


@pytest.mark.parametrize(("data", "words"), [
    (b"", "it is empty"), (b"\n", "it is empty"), (b"\xef\xbb\xbf\r\n\n", "it is empty"), ("a,b\n1,2\n".encode("utf-16"), "it is UTF-16"),
    (b'"a,b\n1,2\n', "a quote that is not closed"), (b'a,b\n"x,2\n3,4\n', "Expected 2 columns"), (b"a,b\n1\n", "Expected 2 columns, got 1"),
    (b"a,b\n1,2,3\n", "Expected 2 columns, got 3"), ("a\u00e9,b\n1,2\n".encode("latin-1"), "not UTF-8"),
    ("a,b\n1,\u00e9\n2,x\n".encode("latin-1"), "column 'b' is not UTF-8; say with encoding="), ("a,b\n1,2\n".encode("utf-32"), 'encoding="utf-32"'),
])  # fmt: skip
def test_csv_that_is_refused(data, words, load, store):
    with pytest.raises(cn.UnreadableFileError, match=words) as excinfo:
        load(data)
    assert str(excinfo.value).endswith("; nothing was stored")
    assert not store.exists("t")


# -- JSON lines --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "rows"), [
    (b"{}\n{}\n", [{}, {}]), (b"{}", [{}]), (b'{}\n{"a": 1}\n{}\n', [{"a": None}, {"a": 1}, {"a": None}]), (b"\n", []),
    (b'{"a\\u0000b": 1}\n', [{"a\0b": 1}]), (b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
    (b'{"": 1}\n\n{"": null}\n', [{"": 1}, {"": None}]), (b'{"a": []}\n{"a": [1]}\n', [{"a": []}, {"a": [1]}]),
    (b'{"a": {}}\n{"a": {}}\n', [{"a": {}}, {"a": {}}]), (b"null\n", [{}]), (b'\n null\n{"a": 1}\nnull\n', [{"a": None}, {"a": 1}, {"a": None}]),
    (b'{"a": [18446744073709551616, 1.5]}\n', [{"a": [2.0**64, 1.5]}]), (b'{"a": 1e30, "b": " 12345678901234567890 "}\n', [{"a": 1e30, "b": " 12345678901234567890 "}]), (b'{"a": {}}\n{"a": {"b": 1}}\n', [{"a": {"b": None}}, {"a": {"b": 1}}]),
])  # fmt: skip
def test_json_lines(data, rows, load, store):
    result = load(data, ".jsonl")
    assert (result.num_rows, result.to_pylist()) == (len(rows), rows)
    assert len(store.get("t")) == len(rows)


@pytest.mark.parametrize(("data", "types", "words"), [
    (b'{"a": 1}\n{"a": "x"}\n', None, "'a' has values of several types. engine=\"duckdb\" gives"),
    (b'{"a": [1]}\n{"a": 2}\n', None, "'a' has values of several types"),
    (b'{"a": 1}\n{"a": "x"}\n', {"a": "string"}, "'a' has a value of type number, and types= says string"),
])  # fmt: skip
def test_values_of_several_types_in_json_lines(data, types, words, load):
    with pytest.raises(cn.UnreadableFileError, match=words):
        load(data, ".jsonl", types=types)
    if types is None:
        assert load(data, ".jsonl", engine="duckdb")["a"].to_pylist()[0] == json.dumps(
            json.loads(data.split(b"\n")[0])["a"]
        )


def test_large_and_negative_integers_of_json_lines(load):
    """In one block PyArrow makes floats of them. In two blocks they have two types, and neither holds all values."""
    data = b'{"a": 18446744073709551615}\n{"a": -1}\n'
    with pytest.raises(cn.UnreadableFileError, match=r"decimal128\(38\)"):
        load(data, ".jsonl")
    assert load(data, ".jsonl", types={"a": pa.decimal128(38)})["a"].to_pylist() == [2**64 - 1, -1]


def test_values_of_several_types_inside_of_a_column(load):
    data = b'{"a": {"b": 1}}\n{"a": {"b": "x"}}\n'
    with pytest.raises(cn.UnreadableFileError, match=r"column 'a(/b)?' has values of several types") as info:
        load(data, ".jsonl")
    assert "decimal128" not in str(info.value)
    with pytest.raises(
        cn.UnreadableFileError, match=r"column 'a/b' has a value of type number, and types= says string"
    ):
        load(b'{"a/b": "x"}\n{"a/b": 1}\n', ".jsonl", types={"a/b": "string"})


def test_many_objects_without_members(store, tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK", 1000)
    (tmp_path / "t.jsonl").write_bytes(b"{}\n" * 5003)
    assert store.load("t", tmp_path / "t.jsonl").num_rows == 5003
    assert store.get("t").shape == (5003, 0)


@pytest.mark.parametrize(("data", "words"), [
    (json.dumps([{"a": 1}]).encode(), "JSON lines are wanted"), (b"", "Empty JSON file"), (b'{"a": 1, "a": 2}\n', "specified twice"),
    (b'{"a": 1}\n2\n', "changed from object to number"), (b'{"a": 18446744073709551616}\n', r"column 'a' has integers that int64 does not hold.*decimal128\(38\)"),
    (b'{"a": {"b": [-9223372036854775809]}}\n', "column 'a' has integers that int64 does not hold"), (b'{"a": 1', "JSON parse error"), (b'{"a": "\xff"}\n', "Invalid UTF8"),
])  # fmt: skip
def test_json_that_is_refused(data, words, load):
    with pytest.raises(cn.UnreadableFileError, match=words):
        load(data, ".json")


ROWS = text_blocks.CsvRows(",")
# Whole rows: a quote begins a field, or is a character like any other; a block does not end with a carriage return.
FIELD = rb'(?:"(?:[^"]++|"")*+"[^,\r\n]*+|(?!")[^,\r\n]*+)'
BOM = b"\xef\xbb\xbf"
WHOLE_ROWS = re.compile(rb"(?:(?:%b[,\r])*+%b\n)*+" % (FIELD, FIELD))


@pytest.mark.parametrize("most", [14, 90])
def test_blocks_end_where_rows_end(most):
    """The search for the end of the last row, compared with an expression that matches rows."""
    rng, ends = random.Random(5), set()
    pieces = [b'"', b",", b"\n", b"a", b"\r\n", b"\r", b'""', b'"x"', b'"x\ny"', b',"', b'",', b'"\n', b'\n"']
    regular = [b'"x",', b"a,", b'"x\ny",', b'"x"\n', b'"",', b'""""\n', b"\n"]
    for number in range(10_000):
        data = b"".join(rng.choices(regular if number % 2 else pieces, k=rng.randint(1, most)))
        end = ROWS.end(data, 0, len(data))
        assert end == WHOLE_ROWS.match(data).end(), data
        with_mark = BOM + data
        assert ROWS.end(with_mark, 0, len(with_mark)) == (end and end + len(BOM)), data
        ends.add(end)
    assert len(ends) > most


CELLS = [
    "1",
    "0",
    "-5",
    "",
    "1.5",
    "x",
    '"a,b"',
    '"q""q"',
    '"l\nl"',
    "true",
    "2020-01-01",
    "2020-01-01 10:00:00",
    "9007199254740993",
    "é",
    '5" p',
    "NaN",
    "null",
    " 7",
    "1e3",
]


@pytest.mark.parametrize("seed", range(4))
def test_any_csv_is_read_as_pyarrow_reads_it_whatever_the_blocks(seed, store, tmp_path, monkeypatch):
    rng = random.Random(seed)
    for _ in range(60):
        columns, cells = rng.randint(1, 4), rng.sample(CELLS, rng.randint(1, 4))
        end, start = rng.choice(["\n", "\r\n"]), rng.choice(["", "\n", "\ufeff", "\ufeff\r\n\n"])
        header = ",".join(f'"h{end if rng.random() < 0.1 else ""}{i}"' for i in range(columns))
        rows = [",".join(rng.choice(cells) for _ in range(columns)) for _ in range(rng.randint(1, 8))]
        data = (start + end.join([header, *rows]) + rng.choice(["", end])).encode()
        (tmp_path / "t.csv").write_bytes(data)
        try:
            options = pc.ConvertOptions(strings_can_be_null=True)
            read = pc.read_csv(
                io.BytesIO(data), parse_options=pc.ParseOptions(newlines_in_values=True), convert_options=options
            )
        except pa.ArrowInvalid:
            continue
        for block in (4 << 20, 16):
            monkeypatch.setattr(text_blocks, "BLOCK", block)
            table = store.load("t", tmp_path / "t.csv").to_arrow()
            assert table.column_names == read.column_names, data
            # As texts: 1.0 is not 1, and NaN is itself.
            assert repr(table.to_pydict()) == repr(read.to_pydict()), data
