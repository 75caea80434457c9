"""What notebooks and Rich's terminals show: all facts, no active content, in a bounded time."""

import os
import pickle
import resource
import subprocess
import sys
import time
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

import colonnade as cn
from colonnade.display.base import Rendering
from colonnade.display.fitting import one_line
from colonnade.display.summary import Listing, Summary
from colonnade.display.table import Column
from colonnade.display.values import brief
from support.quick_lane import examples
from support.summaries import FLIGHTS, Page, terminal


@pytest.fixture
def flights(store):
    with store.put("nyc/flights", FLIGHTS, ttl=3600) as snapshot:
        yield snapshot


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_a_snapshot_in_a_notebook(flights):
    page = Page(flights)
    assert page.title == "Snapshot nyc/flights version 1"
    assert page.remarks == []
    facts = page.facts
    assert facts.pop("created").endswith(" ago")
    assert datetime.fromisoformat(facts.pop("expires")) == flights.expires.replace(microsecond=0)
    reports = flights.explain()
    assert sum(report.zero_copy for report in reports) == 5
    assert facts == {
        "rows": "7",
        "columns": "6",
        "size": f"{flights.nbytes / 1024:.1f}KiB",
        "zero-copy": facts["zero-copy"],
    }
    assert (
        facts["zero-copy"]
        == f"5 of 6 columns, {sum(r.nbytes for r in reports if r.zero_copy)}B of {sum(r.nbytes for r in reports)}B"
    )
    rows, columns = page.tables
    assert rows[0] == [
        "time\ndatetime64[us] (index)",
        "carrier\ncategory",
        "delay\nfloat64",
        "number\nint64",
        "tail\nstr",
        "day\nobject",
    ]
    assert rows[1:3] == [
        ["2013-01-01 00:00:00", "UA", "2.0", "1545", "N14228", "2013-01-01"],
        ["2013-01-01 01:00:00", "AA", "null", "1714", "null", "2013-01-01"],
    ]
    assert len(rows) == 6
    assert columns[0] == ["column", "arrow type", "pandas dtype", "size", "nulls", "opens"]
    assert [(row[0], row[2], row[4], row[5]) for row in columns[1:]] == [
        (f"{r.column}{' (index)' if r.role == 'index' else ''}", r.dtype, str(r.nulls), r.why or "zero-copy")
        for r in reports
    ]
    assert page.captions == ["first 5 of 7 rows", "6 columns: types, nulls, and how each opens"]


@pytest.mark.parametrize("width", [80, 120])
def test_a_snapshot_in_a_terminal(flights, width):
    lines = terminal(flights, width)
    assert lines[0] == "Snapshot nyc/flights version 1"
    assert lines[1].startswith("rows 7   columns 6   size ")
    start = next(i for i, line in enumerate(lines) if line.startswith("time "))
    assert lines[start].split() == ["time", "carrier", "delay", "number", "tail", "day"]
    assert lines[start + 2].split() == ["2013-01-01", "01:00:00", "AA", "null", "1714", "null", "2013-01-01"]
    assert lines[start + 6] == "first 5 of 7 rows"
    assert any(line.split() == ["number", "int64", "int64", "56B", "0", "zero-copy"] for line in lines)
    assert any(line.startswith("time (index)  timestamp[us]") for line in lines)
    assert sum("zero-copy" in line for line in lines) == 6  # 5 columns, and the line for all of them
    assert any("pandas holds" in line for line in lines)


def test_a_store(store, flights):
    store.put("a", FLIGHTS[["number"]], keep=2).close()
    store.put("a", FLIGHTS[["number"]], keep=2).close()
    store = cn.Store(store.path, capacity="1GiB")
    page = Page(store)
    assert page.title == f"Store {store.path}"
    retained = store.open("a", version=1).nbytes
    total = sum(table.nbytes for table in store.ls()) + retained
    assert page.facts["tables"] == "2"
    assert page.facts["size"] == f"{total / 1024:.1f}KiB"
    assert page.facts["capacity"] == "1.0GiB"
    assert page.facts["file system"].endswith(" free")
    [table] = page.tables
    assert table[0] == ["name", "version", "rows", "columns", "size", "age"]
    assert [row[:4] for row in table[1:]] == [["a", "2", "7", "2"], ["nyc/flights", "1", "7", "6"]]
    assert page.captions == ["2 tables, by name"]
    lines = terminal(store)
    assert [line.split()[:4] for line in lines[-3:-1]] == [row[:4] for row in table[1:]]
    assert lines[-1] == "2 tables, by name"


def test_ls_usage_and_explain(store, flights):
    listed = store.ls()
    assert listed == list(listed)
    assert pickle.loads(pickle.dumps(listed)) == listed
    assert repr(listed).startswith("[TableInfo(name='nyc/flights', version=1, rows=7, ")
    assert Page(listed).tables[0][1][:4] == ["nyc/flights", "1", "7", "6"]
    assert any(line.startswith("nyc/flights        1     7        6") for line in terminal(listed))
    usage = store.usage()
    page = Page(usage)
    assert page.title == f"Usage {store.path}"
    assert page.lines[0].endswith(" free on its file system")
    assert page.tables[0][0] == ["name", "version", "rows", "size", "age", "processes"]
    assert page.tables[0][1][0] == "nyc/flights"
    assert str(os.getpid()) in page.tables[0][1][-1]
    assert str(os.getpid()) in "".join(terminal(usage))
    explained = flights.explain()
    page = Page(explained)
    assert page.facts["written for pandas"] == "56B"
    assert [row[0] for row in page.tables[0]] == ["column", *FLIGHTS, "time (index)"]
    assert any(line.startswith("number") and line.endswith("zero-copy") for line in terminal(explained))
    assert "pandas holds Python objects here" in Page(cn.explain(pa.table({"d": [date(2026, 1, 1)]}))).text


def test_plain_reprs_are_one_line_and_read_no_table(store, flights):
    os.truncate(flights.path, 10)  # to read it now would end the process
    try:
        assert (
            repr(flights)
            == f"<colonnade.Snapshot 'nyc/flights' version 1: 7 rows x 6 columns, {flights.nbytes:,} bytes>"
        )
        assert pretty_repr([flights, store], max_width=200) == (
            f"[Snapshot('nyc/flights', version=1, rows=7, columns=6, nbytes={flights.nbytes}), Store({str(store.path)!r})]"
        )
        assert repr(store) == f"<colonnade.Store {str(store.path)!r}>"
    finally:
        store.delete("nyc/flights")


def test_plain_reprs_bring_nothing_in(folder):
    program = f"""
import sys, colonnade as cn
print(repr(cn.Store({str(folder)!r})), [m for m in sys.modules if m.startswith(("rich", "colonnade.display.", "pandas"))])"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output == f"<colonnade.Store {str(folder)!r}> []\n"


@pytest.mark.parametrize(
    ("data", "rows", "columns"),
    [
        (pd.DataFrame({"x": []}), "0 rows", "1 column: types, nulls, and how each opens"),
        (pd.DataFrame({"x": [1]}), "1 row", "1 column: types, nulls, and how each opens"),
        (pd.DataFrame({"x": [1] * 5}), "5 rows", "1 column: types, nulls, and how each opens"),
        (pd.DataFrame(index=range(3)), None, None),
        (pd.DataFrame(), None, None),
    ],
)
def test_little_tables(data, rows, columns, store):
    snapshot = store.put("t", data)
    page = Page(snapshot)
    assert page.captions == [caption for caption in (rows, columns) if caption]
    assert page.remarks == []
    assert page.facts["rows"] == str(len(data))
    assert "\n".join(terminal(snapshot)).count("row") >= 1


@pytest.mark.parametrize(
    ("data", "said"),
    [(np.zeros((10, 3, 4), "f4"), "float32 of shape (10, 3, 4)"), (b"bytes", "uint8 of shape (5,)"), (np.zeros((0, 2)), "float64 of shape (0, 2)")],
)  # fmt: skip
def test_arrays_and_bytes(data, said, store):
    assert said in store.put("t", data)._repr_html_()


def test_labels_and_levels_that_are_no_strings(store):
    index = pd.MultiIndex.from_arrays([[1, 2], ["a", "b"]], names=["n", None])
    frame = pd.DataFrame([[1, 2], [3, 4]], index=index, columns=pd.MultiIndex.from_tuples([("p", 1), ("q", 2)]))
    rows = Page(store.put("t", frame)).tables[0]
    assert [cell.split("\n")[0] for cell in rows[0]][2:] == ["('p', '1')", "('q', '2')"]
    assert rows[1] == ["1", "a", "1", "2"]


# -- hostile texts -----------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "</bdi></td></table>", "a & b &amp; &lt;", "\"' onclick=\"x",
    "[bold]b[/bold] [/nope] :smile:", "\x1b[31mred\x07", "\u202edcba", "שלום עולם", "مرحبا", "日本語" * 30, "e\u0301" * 9, "👩\u200d👧", "a\nb\r\tc", "<!--", "]]>", "\x00", "",
]  # fmt: skip


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 100_000, "<" * 500])
def test_texts_are_texts(text, store):
    frame = pd.DataFrame({text: pd.Categorical([text, None]), "list": [[text], [text] * 9], "s": [text, "z"]})
    snapshot = store.put("t", pa.Table.from_pandas(frame))
    page = Page(snapshot)  # it asserts what elements there are
    short = brief(text)
    expected = short if len(short) <= 40 else short[:39] + "…"
    rows, columns = page.tables
    assert rows[0][0] == f"{expected}\ncategory"
    assert [rows[1][0], rows[1][2], rows[2][0]] == [expected, expected, "null"]
    assert columns[1][0] == (short if len(short) <= 80 else short[:79] + "…")
    lines = terminal(snapshot, 120)
    if len(short) < 15:
        assert sum(short in line for line in lines) >= 3
    Page(snapshot.explain())
    terminal(snapshot.explain(), 80)


@given(st.text(max_size=60).filter(lambda text: text.isascii() or text.encode(errors="replace").decode() == text))
@examples(60)
def test_any_text(tmp_path_factory, text):
    place = tmp_path_factory.mktemp("any")
    snapshot = cn.Store(place).put("t", pa.table({text: [text]}))
    rows, _ = Page(snapshot).tables
    short = brief(text)
    assert rows[1][0] == (short if len(short) <= 40 else short[:39] + "…")
    terminal(snapshot)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_form_of_a_summary_escapes_texts(text):
    column = Column(text, lambda row: row, "right")
    listings = [Listing(text, [column, column], [text], [text, text], wide=wide, folded=wide) for wide in (True, False)]
    summary = Rendering(Summary(text, text, lines=[text], facts={text: text}, listings=listings, remarks=[text]))
    page = Page(summary)
    line = one_line(text)
    assert page.title == f"{line} {line}"
    assert [*page.lines, *page.remarks, *page.captions] == [line] * 4
    assert page.facts == {line or None: line or None}
    terminal(summary)


def test_a_store_in_a_hostile_folder(folder):
    store = cn.Store(folder / "<script>alert(1)</script> [red]\n\udcff")
    store.put("t", FLIGHTS).close()
    assert "<script>alert(1)</script> [red]\\n\\udcff" in Page(store).title
    assert "alert(1)</script>" in "".join(terminal(store, 200))
    Page(store.usage())
    Page(cn.Store(store.path / "t.arrow"))


# -- bounds ------------------------------------------------------------------------------------------------------------


def _seconds(look):
    look()
    best = []
    for _ in range(3):
        start = time.perf_counter()
        look()
        best.append(time.perf_counter() - start)
    return min(best)


@pytest.mark.slow
def test_ten_thousand_columns(store):
    snapshot = store.put("wide", pd.DataFrame(np.zeros((10, 10_000)), columns=[f"c{i}" for i in range(10_000)]))
    page = Page(snapshot)
    assert [cell.split("\n")[0] for cell in page.tables[0][0]] == [
        *(f"c{i}" for i in range(6)),
        "…",
        *(f"c{i}" for i in range(9994, 10_000)),
    ]
    assert len(page.tables[1]) == 21
    assert page.captions[1] == "first 20 of 10,000 columns: types, nulls, and how each opens"
    assert page.facts["zero-copy"] == "all columns, 781.2KiB"
    assert len(page.html) < 16_000
    lines = terminal(snapshot, 50)
    at = next(at for at, line in enumerate(lines) if "…" in line)
    heading = lines[at].split()
    assert [heading[0], heading[-1]] == ["c0", "c9999"]
    assert lines[at + 1 : at + 7] == [*[lines[at + 1]] * 5, "first 5 of 10 rows"]  # each on one line
    assert _seconds(snapshot._repr_html_) < 1.5
    explained = snapshot.explain()
    assert len(Page(explained).tables[0]) == 61
    assert Page(explained).captions == ["first 60 of 10,000 columns"]


def test_a_hundred_million_rows(store):
    with store.allocate("tall", {"x": "int8"}, rows=100_000_000, nulls=False) as draft:
        draft["x"][:5] = [1, 2, 3, 4, 5]
    snapshot = store.open("tall")
    assert Page(snapshot).captions[0] == "first 5 of 100,000,000 rows"
    assert [row[0] for row in Page(snapshot).tables[0]][1:] == ["1", "2", "3", "4", "5"]
    assert _seconds(snapshot._repr_html_) < 0.1
    snapshot.close()
    store.delete("tall")


def test_few_pages_are_read(tmp_path):
    """Uses a disk, where the kernel counts a fault for every few pages. With huge pages in memory it would count too few."""
    table = pa.table({"x": np.zeros(2_000_000), "s": pa.array(["sixteen letters."] * 2_000_000, pa.large_string())})
    snapshot = cn.Store(tmp_path / "s").put("t", table)

    def faults(look):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        look()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    snapshot._repr_html_()  # imports
    read_all = faults(lambda: cn.Store(tmp_path / "s").open("t").validate())
    if read_all < 500:
        pytest.skip("the kernel maps whole files here")
    assert faults(lambda: cn.Store(tmp_path / "s").open("t")._repr_html_()) < read_all / 4


@pytest.mark.slow
def test_a_thousand_names(store):
    names = [f"{folder}/t{i}" for folder in "badce" for i in range(200)]
    for name in names[::-1]:
        store.put(name, FLIGHTS[["number"]].iloc[:1]).close()
    page = Page(store)
    assert page.facts["tables"] == "1,000"
    assert [row[0] for row in page.tables[0]][1:] == sorted(names)[:20]
    assert page.captions == ["20 tables, by name; 980 more"]
    assert terminal(store)[-1] == "20 tables, by name; 980 more"
    assert len(page.html) < 16_000
    assert _seconds(store._repr_html_) < 1
    assert Page(store.ls()).captions == ["60 tables, by name; 940 more"]
    assert len(Page(store.usage()).tables[0]) == 61
    assert Page(store.usage()).captions == ["the largest 60 of 1,000 segments"]
