"""Options of `load`: each takes effect in the readers that have it, and is refused by the others with one sentence."""

import bz2
import functools
import gzip
import http.server
import lzma
import threading

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import colonnade as cn
from colonnade.cli.commands import app

TABLE = pa.table({"year": [2012, 2013, 2013], "city": ["Rome", None, "Oslo"], "x": [1.5, 2.5, None]})


@pytest.fixture
def parquet(tmp_path):
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=1)
    return tmp_path / "t.parquet"


# -- columns and rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filters", [[("year", "==", 2013)], [[("year", ">", 2012)]], ds.field("year") == 2013])
def test_columns_and_filters_of_parquet(filters, parquet, store):
    table = store.load("t", parquet, columns=["x", "year"], filters=filters).to_arrow()
    assert table.to_pydict() == {"x": [2.5, None], "year": [2013, 2013]}
    assert store.load("t", parquet, columns=["city"], filters=filters).to_arrow().to_pydict() == {
        "city": [None, "Oslo"]
    }


def test_a_filter_that_nothing_passes(parquet, store):
    assert store.load("t", parquet, filters=[("year", "==", 1)]).num_rows == 0
    assert store.get("t").columns.tolist() == ["year", "city", "x"]


def test_the_index_of_a_frame_stays_out_of_chosen_columns(tmp_path, store):
    df = pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=pd.Index(["x", "y"], name="key"))
    df.to_parquet(tmp_path / "t.parquet")
    expected = pq.read_table(tmp_path / "t.parquet").select(["b"]).to_pandas()
    pd.testing.assert_frame_equal(store.load("t", tmp_path / "t.parquet", columns="b").to_pandas(), expected)


def test_columns_of_folders(tmp_path, store):
    for year in (2013, 2014):
        (tmp_path / f"year={year}").mkdir()
        pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / f"year={year}/t.parquet")
    assert store.load("t", tmp_path, columns=["year", "b"]).to_arrow().to_pydict() == {
        "year": [2013, 2014],
        "b": ["x", "x"],
    }
    assert store.load("t", tmp_path, filters=[("year", "=", 2014)]).num_rows == 1


def test_columns_of_folders_of_streams_and_of_repeated_names(tmp_path, store):
    """What PyArrow's datasets do not read: IPC streams, and several columns of one name."""
    for year, table in ((2013, pa.table([[1], ["x"]], ["a", "b"])), (2014, pa.table([[2], ["y"]], ["a", "b"]))):
        for name in (f"streams/year={year}", f"repeated/year={year}"):
            (tmp_path / name).mkdir(parents=True)
        with pa.ipc.new_stream(tmp_path / f"streams/year={year}/t.arrows", table.schema) as writer:
            writer.write_table(table)
        pq.write_table(table.rename_columns(["a", "a"]), tmp_path / f"repeated/year={year}/t.parquet")
    expected = {"a": [1, 2], "b": ["x", "y"], "year": [2013, 2014]}
    assert store.load("t", tmp_path / "streams").to_arrow().to_pydict() == expected
    chosen = store.load("t", tmp_path / "streams", columns=["year"], filters=[("year", ">", 2013)]).to_arrow()
    assert (chosen.to_pydict(), chosen.schema.types) == ({"year": [2014]}, [pa.int32()])
    repeated = store.load("t", tmp_path / "repeated").to_arrow()
    assert repeated.column_names == ["a", "a", "year"]
    assert [column.to_pylist() for column in repeated.columns] == list(expected.values())


@pytest.mark.parametrize("engine", [None, "duckdb", "polars"])
def test_columns_of_folders_of_text(engine, tmp_path, store):
    for year, text in ((2013, "a,b\n1,x\n"), (2014, "a,b\n2,y\n")):
        (tmp_path / f"year={year}/kind=o%20k").mkdir(parents=True)
        (tmp_path / f"year={year}/kind=o%20k/t.csv").write_text(text)
    expected = {"a": [1, 2], "b": ["x", "y"], "year": [2013, 2014], "kind": ["o k", "o k"]}
    result = store.load("t", tmp_path, engine=engine).to_arrow()
    assert {name: result[name].to_pylist() for name in sorted(result.column_names)} == dict(sorted(expected.items()))
    columns = store.load("t", tmp_path, engine=engine, columns=["kind", "a"]).to_arrow().to_pydict()
    assert columns == {"kind": ["o k", "o k"], "a": [1, 2]}


def test_folders_that_name_other_columns(tmp_path, store):
    """A column of the file goes before that of its folder; a folder that is missing is null, as is Hive's name of it."""
    for folder, text in (
        ("m=1", '{"v": 1, "m": "own"}'),
        ("m=2/d=-3", '{"v": 2}'),
        ("m=__HIVE_DEFAULT_PARTITION__/d=x", '{"v": 3}'),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "t.jsonl").write_text(text)
    expected = [{"v": 1, "m": "own", "d": None}, {"v": 2, "m": "2", "d": "-3"}, {"v": 3, "m": None, "d": "x"}]
    assert store.load("t", tmp_path).to_arrow().to_pylist() == expected
    (tmp_path / "m=1/t.jsonl").write_text('{"v": 1, "m": 7}')
    assert store.load("t", tmp_path).to_arrow()["m"].to_pylist() == [7, 2, None]


@pytest.mark.parametrize(("given", "values"), [("string", ["01"]), ("category", ["01"]), ("float64", [1.0])])
def test_types_of_the_columns_of_folders(given, values, tmp_path, store):
    (tmp_path / "month=01").mkdir()
    (tmp_path / "month=01/t.csv").write_text("a\n1\n")
    assert store.load("t", tmp_path, types={"month": given}).to_pandas()["month"].tolist() == values
    with pytest.raises(cn.UnreadableFileError, match="'01' as a scalar of type timestamp"):
        store.load("t", tmp_path, types={"month": "timestamp[ns]"})


def test_columns_of_folders_by_engines(tmp_path, store):
    (tmp_path / "self=1").mkdir()
    (tmp_path / "self=1/t.csv").write_text("a\n1\n")
    assert store.load("t", tmp_path, engine="polars").to_arrow().to_pydict() == {"a": [1], "self": [1]}
    for engine in ("polars", "duckdb"):  # of one file, the folders above it are no columns
        assert store.load("t", tmp_path / "self=1/t.csv", engine=engine).to_arrow().to_pydict() == {"a": [1]}
    (tmp_path / "self=1/t.csv").write_text("self\nown\n")
    assert store.load("t", tmp_path, engine="polars").to_arrow().to_pydict() == {"self": ["own"]}


def test_patterns_of_files(tmp_path, store):
    for year in (2013, 2014):
        (tmp_path / f"p/year={year}").mkdir(parents=True)
        pq.write_table(pa.table({"a": [year]}), tmp_path / f"p/year={year}/t.parquet")
        (tmp_path / f"{year}.csv").write_text(f"a\n{year}\n")
    (tmp_path / "x[1].csv").write_text("a\n5\n")
    both = [2013, 2014]
    for pattern in ("2*.csv", "201[34].csv", "p/*/*.parquet", "p/**/*.parquet", "p/year=201?"):
        assert store.load("t", tmp_path / pattern).to_arrow()["a"].to_pylist() == both
    assert store.load("t", tmp_path / "p/*/*.parquet").to_arrow()["year"].to_pylist() == both
    # The name of a file that is there is no pattern.
    assert store.load("t", tmp_path / "x[1].csv").to_pandas()["a"].tolist() == [5]
    (tmp_path / "_b.csv").write_text("a\n6\n")
    assert store.load("t", tmp_path / "_*.csv").to_pandas()["a"].tolist() == [6]  # hidden, unless it is asked for
    assert store.load("t", tmp_path / "[!_]*.csv").num_rows == 3
    with pytest.raises(FileNotFoundError, match="as a pattern it matches none"):
        store.load("t", tmp_path / "*.tsv")
    with pytest.raises(ValueError, match=r"\*\* stands for folders"):
        store.load("t", tmp_path / "p/**.parquet")


@pytest.mark.parametrize(("suffix", "text"), [
    (".csv", "a,b,a\n1,x,2\n3,y,4\n"), (".jsonl", '{"a": 1, "b": "x"}\n{"a": 3, "b": "y"}\n'), (".tsv", "a\tb\ta\n1\tx\t2\n3\ty\t4\n"),
])  # fmt: skip
def test_columns_of_text(suffix, text, tmp_path, store):
    (tmp_path / f"t{suffix}").write_text(text)
    table = store.load("t", tmp_path / f"t{suffix}", columns=["b", "a"]).to_arrow()
    assert table.column_names == (["b", "a"] if suffix == ".jsonl" else ["b", "a", "a"])
    assert [table.column(at).to_pylist() for at in (0, 1)] == [["x", "y"], [1, 3]]
    with pytest.raises(ValueError, match=r"columns= names columns that are not there: 'c'\. There are: 'a', 'b'"):
        store.load("t", tmp_path / f"t{suffix}", columns=["c", "b"])


def test_columns_that_only_some_files_have(tmp_path, store):
    (tmp_path / "1.csv").write_text("a,b\n1,x\n2,y\n")
    (tmp_path / "2.csv").write_text("c\n3\n")
    assert store.load("t", tmp_path, columns="b").to_arrow().to_pydict() == {"b": ["x", "y", None]}


# -- text --------------------------------------------------------------------------------------------------------------


def test_types_of_csv(tmp_path, store):
    rows = "".join(f"0{at % 10}1,{at},k{at % 3},2020-01-0{at % 9 + 1},{at}\n" for at in range(1000))
    (tmp_path / "t.csv").write_text("zip,n,kind,day,x\n" + rows)
    types = {"zip": "string", "n": pa.int16(), "kind": "category", "day": "timestamp[ns]", "x": float}
    table = store.load("t", tmp_path / "t.csv", types=types).to_arrow()
    assert table.column("zip").to_pylist()[:2] == ["001", "011"]
    assert pa.types.is_dictionary(table.schema.field("kind").type)
    assert [table.schema.field(name).type for name in ("n", "day", "x")] == [
        pa.int16(),
        pa.timestamp("ns"),
        pa.float64(),
    ]
    assert str(store.get("t")["kind"].dtype) == "category"
    with pytest.raises(ValueError, match="types= names columns that are not there: 'Zip'"):
        store.load("t", tmp_path / "t.csv", types={"Zip": "string"})
    with pytest.raises(cn.UnreadableFileError, match="conversion error to int16"):
        store.load("t", tmp_path / "t.csv", types={"kind": "int16"})


def test_types_of_blocks_with_other_categories(tmp_path, store, monkeypatch):
    monkeypatch.setattr("colonnade.io.text_blocks.BLOCK", 64)
    (tmp_path / "t.csv").write_text("k,n\n" + "".join(f"k{at // 20},{at}\n" for at in range(200)))
    frame = store.load("t", tmp_path / "t.csv", types={"k": "category"}).to_pandas()
    assert frame["k"].tolist() == [f"k{at // 20}" for at in range(200)]
    assert len(frame["k"].cat.categories) == 10


def test_types_of_json(tmp_path, store):
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": "2020-01-01"}\n{"a": 2, "b": null}\n')
    table = store.load("t", tmp_path / "t.jsonl", types={"a": "float32"}).to_arrow()
    assert (table.schema.field("a").type, table["a"].to_pylist()) == (pa.float32(), [1, 2])
    assert table.column_names == ["a", "b"]


@pytest.mark.parametrize("delimiter", [";", "|", "\t", " ", "^"])
def test_delimiter_and_decimal(delimiter, tmp_path, store, monkeypatch):
    monkeypatch.setattr("colonnade.io.text_blocks.BLOCK", 64)
    rows = "".join(f'{at},5{delimiter}"a{delimiter}\n""{at}"\n' for at in range(100))
    (tmp_path / "t.csv").write_text(f"x{delimiter}s\n{rows}")
    result = store.load("t", tmp_path / "t.csv", delimiter=delimiter, decimal=",").to_arrow().to_pydict()
    assert result == {"x": [at + 0.5 for at in range(100)], "s": [f'a{delimiter}\n"{at}' for at in range(100)]}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "cp1252", "utf-8-sig"])
def test_encoding(encoding, tmp_path, store, monkeypatch):
    monkeypatch.setattr("colonnade.io.text_blocks.BLOCK", 37)
    rows = [f"é{at}" for at in range(50)]
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress("\n".join(["ä", *rows]).encode(encoding)))
    assert store.load("t", tmp_path / "t.csv.gz", encoding=encoding).to_arrow().to_pydict() == {"ä": rows}


def test_an_encoding_that_does_not_fit(tmp_path, store):
    (tmp_path / "t.csv").write_bytes("é\n1\n".encode("latin-1"))
    with pytest.raises(cn.UnreadableFileError, match="ascii"):
        store.load("t", tmp_path / "t.csv", encoding="ascii")


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_engines(engine, tmp_path, store):
    (tmp_path / "a[1]*.csv").write_text("x;y;s\n1;1,5;true\n2;;x\n")
    (tmp_path / "b.csv").write_text("x;z\n3;4\n")
    result = store.load("t", tmp_path / "a[1]*.csv", engine=engine, delimiter=";", decimal=",").to_arrow().to_pydict()
    assert result == {"x": [1, 2], "y": [1.5, None], "s": ["true", "x"]}
    result = store.load("t", tmp_path, engine=engine, delimiter=";", decimal=",", columns=["z", "x"]).to_arrow()
    assert result.to_pydict() == {"z": [None, None, 4], "x": [1, 2, 3]}
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": "x"}\n{"a": null, "b": "y"}\n')
    assert store.load("t", tmp_path / "t.jsonl", engine=engine).to_arrow().to_pydict() == {
        "a": [1, None],
        "b": ["x", "y"],
    }


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_engines_that_fail(engine, tmp_path, store):
    (tmp_path / "t.jsonl").write_text('{"a": 1\n{{{\n')
    with pytest.raises(cn.UnreadableFileError, match=rf"t\.jsonl cannot be read by {engine}: .*; nothing was stored"):
        store.load("t", tmp_path / "t.jsonl", engine=engine)
    (tmp_path / "t.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match="columns= names columns that are not there: 'b'"):
        store.load("t", tmp_path / "t.csv", engine=engine, columns="b")
    assert not store.exists("t")


# -- formats -----------------------------------------------------------------------------------------------------------


def test_arrow_streams(tmp_path, store):
    for name, table in {"0.arrow": TABLE, "1.arrows": TABLE.select(["x", "year"])}.items():
        with pa.ipc.new_stream(tmp_path / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    assert store.load("t", tmp_path / "0.arrow").to_arrow().to_pydict() == TABLE.to_pydict()
    result = store.load("t", tmp_path, columns=["city", "year"], filters=[("year", "==", 2012)]).to_arrow()
    assert result.to_pydict() == {"city": ["Rome", None], "year": [2012, 2012]}
    with pytest.raises(ValueError, match="columns= names columns that are not there: 'z'"):
        store.load("t", tmp_path, columns="z")
    data = (tmp_path / "0.arrow").read_bytes()
    (tmp_path / "0.arrow").write_bytes(data[: len(data) // 2])
    with pytest.raises(cn.UnreadableFileError, match=r"0\.arrow cannot be read as arrow"):
        store.load("t", tmp_path / "0.arrow")


def test_feather_of_version_1_says_the_way_out(tmp_path, store):
    (tmp_path / "t.feather").write_bytes(b"FEA1" + bytes(60) + b"FEA1")
    with pytest.raises(cn.UnreadableFileError, match=r"Feather of version 1.*write_feather\(.*; nothing was stored"):
        store.load("t", tmp_path / "t.feather")


@pytest.mark.parametrize("suffix", [".csv.xz", ".tsv", ".tsv.gz"])
def test_dump_and_load_of_other_text(suffix, tmp_path, store):
    store.put("t", TABLE)
    store.dump("t", tmp_path / f"t{suffix}")
    assert store.load("back", tmp_path / f"t{suffix}").to_arrow().to_pydict() == TABLE.to_pydict()


def test_xz_that_is_damaged(tmp_path, store):
    data = lzma.compress(b"a\n" + b"1\n" * 1000)
    for broken in (data[:-20], b"no xz", data[:30] + b"\0\0\0\0" + data[34:]):
        (tmp_path / "t.csv.xz").write_bytes(broken)
        with pytest.raises(cn.UnreadableFileError, match=r"t\.csv\.xz cannot be read as csv"):
            store.load("t", tmp_path / "t.csv.xz")


def test_http(tmp_path, store, parquet):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n")
    handler = functools.partial(_Ranges, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert store.load("t", f"{url}/t.csv").to_arrow().to_pydict() == {"a": [1], "b": ["x"]}
        assert store.load("t", f"{url}/t.parquet", columns="x").to_arrow().to_pydict() == {"x": [1.5, 2.5, None]}
        assert store.load("t", f"{url}/t.csv?signature=a.b/c").num_rows == 1
        with pytest.raises(FileNotFoundError, match=r"No such file.*404"):
            store.load("t", f"{url}/none.csv")
        with pytest.raises(ValueError, match="engine= is for files of this machine"):
            store.load("t", f"{url}/t.csv", engine="polars")
        server.shutdown()
    with pytest.raises(FileNotFoundError, match=r"No such file.*Cannot connect to host"):
        store.load("t", f"{url}/t.csv")


def test_a_server_of_whole_files(tmp_path, store, parquet):
    handler = functools.partial(_Whole, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(
            cn.UnreadableFileError, match=r"t\.parquet cannot be read: its server gives whole files only"
        ):
            store.load("t", f"http://127.0.0.1:{server.server_port}/t.parquet")
        server.shutdown()


class _Whole(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """A server of the files in a folder that supports range requests."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        expected = self.headers.get("Range")
        if expected is None:
            super().do_GET()
            return
        with open(self.translate_path(self.path), "rb") as file:
            data = file.read()
        first, last = expected.removeprefix("bytes=").split("-")
        part = data[int(first) : int(last) + 1 if last else None]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)


# -- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options", "words"), [
    ("t.parquet", {"delimiter": ";"}, "delimiter= is for csv, tsv, not for parquet"),
    ("t.parquet", {"types": {"x": "int8"}}, "types= is for csv, json, tsv, not for parquet"),
    ("t.parquet", {"engine": "polars"}, "engine= is for"),
    ("t.parquet", {"columns": ["a", "a"]}, "names a column twice"),
    ("t.parquet", {"columns": ["year", "z"]}, "columns= names columns that are not there: 'z'"),
    ("t.parquet", {"filters": "year == 2013"}, "filters= is an expression of pyarrow.dataset, or tuples"),
    ("t.parquet", {"filters": [("year", "is", 2013)]}, "filters= is an expression"),
    ("t.parquet", {"filters": [("z", "==", 2013)]}, "filters= does not fit this table: No match for FieldRef"),
    ("t.parquet", {"filters": [("year", "==", "x")]}, "filters= does not fit this table"),
    ("t.csv", {"filters": [("a", "==", 1)]}, "filters= is for arrow, feather, orc, parquet, not for csv"),
    ("t.csv", {"delimiter": "::"}, "delimiter must be one ASCII character"),
    ("t.csv", {"delimiter": '"'}, "delimiter must be one ASCII character"),
    ("t.csv", {"decimal": ","}, "',' is both decimal= and delimiter="),
    ("t.csv", {"encoding": "klingon"}, "encoding='klingon' is unknown"),
    ("t.csv", {"encoding": "zlib"}, "encoding='zlib' is unknown"),
    ("t.csv", {"types": {"a": "klingon"}}, "types= of column 'a': 'klingon' is not a type"),
    ("t.csv", {"types": {"a": object}}, "types= of column 'a': <class 'object'> is not a type"),
    ("t.csv", {"engine": "excel"}, "engine must be one of pyarrow, duckdb, polars"),
    ("t.csv", {"engine": "polars", "types": {"a": "string"}}, "polars finds its own types"),
    ("t.csv", {"engine": "polars", "encoding": "latin-1"}, "Polars reads UTF-8"),
    ("t.csv.bz2", {"engine": "polars"}, "compressed with gzip or zstd, not with bz2"),
    ("t.csv.bz2", {"engine": "duckdb"}, "compressed with gzip or zstd, not with bz2"),
    ("t.jsonl", {"decimal": "."}, "decimal= is for csv, tsv, not for json"),
    ("sqlite:///t.db", {"columns": "a", "query": "select 1"}, "columns= is for files; say it in the query"),
])  # fmt: skip
def test_options_that_do_not_fit(name, options, words, parquet, tmp_path, store):
    (tmp_path / "t.csv").write_text("a\n1\n")
    (tmp_path / "t.csv.bz2").write_bytes(bz2.compress(b"a\n1\n"))  # Polars takes it for text, and ends the process
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match=words):
        store.load("t", name if "://" in name else tmp_path / name, **options)
    assert not store.exists("t")


def test_options_of_the_command_line(parquet, tmp_path, store):
    (tmp_path / "t.csv").write_bytes("zip;x;é\n01;1,5;a\n02;2,5;b\n".encode("latin-1"))

    def run(*args):
        return CliRunner().invoke(app, ["--store", str(store.path), "load", "t", *map(str, args)])

    options = [
        "--delimiter",
        ";",
        "--decimal",
        ",",
        "--encoding",
        "latin-1",
        "--type",
        "zip=string",
        "--columns",
        "é,zip,x",
    ]
    assert run(tmp_path / "t.csv", *options).exit_code == 0
    assert store.open("t").to_arrow().to_pydict() == {"é": ["a", "b"], "zip": ["01", "02"], "x": [1.5, 2.5]}
    assert run(parquet, "--filter", "year == 2013", "--filter", "city=Oslo", "--columns", "city").exit_code == 0
    assert store.open("t").to_arrow().to_pydict() == {"city": ["Oslo"]}
    (tmp_path / "t.tsv").write_text("a\tb\n1\t2\n")
    assert run(tmp_path / "t.tsv", "--engine", "polars", "--delimiter", "\\t").exit_code == 0
    for wrong in (["--filter", "year"], ["--type", "zip"], ["--engine", "excel"], ["--delimiter", ";"]):
        result = run(parquet, *wrong)
        assert (result.exit_code, "Error" in result.output) == (2, True), wrong


def _write(table, path):
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    else:
        make_writer = pa.ipc.new_file if path.suffix == ".arrow" else pa.ipc.new_stream
        with make_writer(path, table.schema) as writer:
            writer.write_table(table)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_filters_of_tables_with_views(suffix, tmp_path, store):
    """As Polars writes them: PyArrow has no filters for views."""
    table = pa.table({
        "s": pa.array(["a", None, "a text of more than 12 bytes"], pa.string_view()),
        "b": pa.array([b"a", b"b", None], pa.binary_view()),
        "i": [1, 2, 3],
    })  # fmt: skip
    _write(table, tmp_path / f"t.{suffix}")
    for filters, rows in (([("i", ">", 2)], [2]), ([("s", "==", "a")], [0]), (ds.field("b") == b"b", [1])):
        loaded = store.load("t", tmp_path / f"t.{suffix}", filters=filters).to_arrow()
        assert loaded.to_pylist() == [table.to_pylist()[row] for row in rows]


@pytest.mark.parametrize("view", [False, True])
def test_a_filter_looks_at_no_text_that_is_outside_of_its_buffer(view, tmp_path, store):
    offsets = pa.array([0, 5, 1, 6], pa.int32()).buffers()[1]
    damaged = pa.StringArray.from_buffers(3, offsets, pa.py_buffer(b"abcdef"))
    long_view = (100).to_bytes(4, "little") + b"abcd" + (7).to_bytes(4, "little") + bytes(4)  # there is no buffer 7
    if view:
        damaged = pa.Array.from_buffers(pa.string_view(), 3, [None, pa.py_buffer(long_view * 3), pa.py_buffer(b"x")])
    table = pa.table({"i": [1, 2, 3], "s": damaged})
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    for filters in (None, [("i", ">", 1)], [("s", "==", "abcde")]):
        with pytest.raises(cn.UnreadableFileError, match="cannot be read as arrow"):
            store.load("t", tmp_path / "t.arrow", filters=filters)


def test_a_damaged_file_is_checked_before_it_is_cast(tmp_path, store):
    """A folder may have files of several types; the damaged column says more values than its buffer has."""
    rows = 4097
    for name, column in (("a", pa.array([1], pa.int64())), ("b", pa.array(range(rows), pa.int32()))):
        with pa.ipc.new_file(tmp_path / f"{name}.arrow", pa.schema([("x", column.type)])) as writer:
            writer.write_batch(pa.record_batch([column], ["x"]))
    data = (tmp_path / "b.arrow").read_bytes()
    number = rows.to_bytes(8, "little")
    assert data.count(number) == 2  # of the batch, and of the column
    (tmp_path / "b.arrow").write_bytes(data.replace(number, (1 << 20).to_bytes(8, "little")))
    for filters in (None, [("x", ">", 1)]):
        with pytest.raises(cn.UnreadableFileError, match=r"b\.arrow cannot be read as arrow"):
            store.load("t", tmp_path, filters=filters)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".arrows"])
def test_no_columns(suffix, tmp_path, store):
    _write(pa.table({"a": [1, 2, 3]}), tmp_path / f"t{suffix}")
    assert store.load("t", tmp_path / f"t{suffix}", columns=[]).num_rows == 3


def test_a_filter_that_does_not_fit_a_stream(tmp_path, store):
    with pa.ipc.new_stream(tmp_path / "t.arrows", pa.schema([("a", pa.int64())])) as writer:
        writer.write_table(pa.table({"a": [1]}))
    with pytest.raises(ValueError, match="filters= does not fit this table"):
        store.load("t", tmp_path / "t.arrows", filters=[("nope", "==", 1)])
