"""Readers in other languages: the examples run as their headers say, and find what Python put."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

import colonnade as cn
from colonnade.format import schema
from readers import tables
from readers.types_in_words import type_in_words

ROOT = Path(__file__).parents[2]
ASKED = '"$COLONNADE_STORE/nyc/flights.arrow"'  # the file that the commands in the headers read


class Reader(NamedTuple):
    example: str
    program: str = sys.executable
    needs: str = "examples"  # what `make readers` makes
    package: str = "python3"  # Debian's, of the program
    nth: int = 0  # which of the header's commands


READERS = {
    "Arrow Java": Reader("java/ReadTable.java", "java", "build/readers/java/.ready", "default-jre-headless"),
    "Arrow JavaScript": Reader("javascript/read_table.mjs", "node", "examples/javascript/node_modules", "nodejs npm"),
    "arrow-rs": Reader("python/read_with_arrow_rs.py"),
    "Polars": Reader("python/read_with_polars.py"),
    "Polars, lazily": Reader("python/read_with_polars.py", nth=1),
}


def command_of(reader):
    """The command in the header of an example, for the files that are its arguments."""
    example = f"examples/{reader.example}"
    header = (ROOT / example).read_text().replace("//", "").replace("\\\n", "")
    commands = [line.strip() for line in header.splitlines() if example in line and ASKED in line]
    return commands[reader.nth].partition("      #")[0].replace(ASKED, '"$@"')


def run(name, paths):
    """What a reader prints of each file."""
    reader = READERS[name]
    missing = [
        what
        for what, there in {
            f"{reader.program} (Debian: {reader.package})": shutil.which(reader.program),
            f"{reader.needs} (make readers)": (ROOT / reader.needs).exists(),
        }.items()
        if not there
    ]
    if missing:
        say = pytest.fail if os.environ.get("COLONNADE_READERS") == "all" else pytest.skip
        say(f"{name} needs {', '.join(missing)}")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    program = ["/bin/bash", "-ec", command_of(reader), name, *map(str, paths)]
    process = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


# ---- What is stored -----------------------------------------------------------------------------------------------------------------


def put(store, name, make, rows):
    store.put(name, make(rows))


def put_three_times(store, name, make, rows):
    """Put three times, so that the third version is in the segment of the first, which had other values."""
    data = [make(rows, 3), make(rows, 2), make(rows)]
    inodes = [store.put(name, frame).path.stat().st_ino for frame in data]
    assert inodes[0] == inodes[2] != inodes[1]


def allocate(store, name, make, rows):
    data = make(rows)
    with store.allocate(name, tables.FILLED, rows) as draft:
        for label in data:
            draft[label][:] = data[label]


STORED = {
    "small, of pandas": (put, tables.from_pandas, tables.SMALL),
    "small, of Arrow": (put, tables.from_arrow, tables.SMALL),
    "empty, of pandas": (put, tables.from_pandas, 0),
    "empty, of Arrow": (put, tables.from_arrow, 0),
    "large, of pandas": (put, tables.from_pandas, tables.LARGE),
    "large, of Arrow": (put, tables.from_arrow, tables.LARGE),
    "recycled, of pandas": (put_three_times, tables.from_pandas, tables.LARGE),
    "recycled, of Arrow": (put_three_times, tables.from_arrow, tables.LARGE),
    "small, allocated": (allocate, tables.filled, tables.SMALL),
    "large, allocated": (allocate, tables.filled, tables.LARGE),
}


@pytest.fixture(scope="module")
def stored():
    """Every table's file, and what a reader must find in it."""
    folder = Path(tempfile.mkdtemp(prefix="colonnade-test-", dir="/dev/shm"))
    store = cn.Store(folder / "store")
    expected = functools.cache(lambda make, rows: tables.expected(make(rows)))
    result = {}
    for what, (way, make, rows) in STORED.items():
        name = what.replace(", ", "/").replace(" ", "-")
        way(store, name, make, rows)
        result[what] = (store.open(name).path, expected(make, rows))
    yield result
    assert store.check() == []
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=READERS)
def found(request, stored):
    """A reader's name, and what it prints of every table."""
    lines = run(request.param, [path for path, _ in stored.values()])
    return request.param, dict(zip(stored, lines, strict=True))


# ---- What is found ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", STORED)
def test_a_reader_finds_what_was_put(what, found, stored):
    name, lines = found
    _, expected = stored[what]
    assert lines[what]["rows"] == expected["rows"]
    for mine, theirs in zip(expected["columns"], lines[what]["columns"], strict=True):
        of_seconds = mine["type"] in ("timestamp[s]", "duration[s]") and name.startswith("Polars")
        total = number(mine["sum"]) * (1000 if of_seconds else 1)
        target = {
            **mine,
            "type": type_in_words(name, mine["type"]),
            "sum": pytest.approx(total) if isinstance(total, float) else total,
        }
        assert {**theirs, "sum": number(theirs["sum"])} == target


def number(text):
    """Whole numbers of any size, exactly, or a float."""
    return int(text) if text.removeprefix("-").isdecimal() else float(text)


@pytest.mark.parametrize("what", STORED)
def test_pandas_buffers_stand_between_what_they_read(what, stored):
    with pa.memory_map(str(stored[what][0])) as file:
        layout = schema.decode(pa.ipc.open_file(file).schema.metadata[schema.METADATA_KEY])
    dtypes = {str(block.dtype) for block in layout.blocks}
    kinds = {type(column) for _, column in layout.columns}
    if "pandas" in what:
        assert "bool" in dtypes
        assert {schema.Masked, schema.Categorical} <= kinds
        assert isinstance(layout.index, schema.MultiIndexOfRows)
    elif "Arrow" in what and "empty" not in what:
        assert not [dtype for dtype in dtypes if "int" in dtype]  # all of them, with nulls, are floats
        assert schema.Categorical in kinds
    else:
        assert "bool" in dtypes or "empty" in what


@pytest.mark.parametrize("name", READERS)
def test_a_command_that_is_not_here_is_said(name, monkeypatch):
    monkeypatch.setitem(READERS, name, READERS[name]._replace(program="no-such-program"))
    monkeypatch.setenv("COLONNADE_READERS", "all")
    with pytest.raises(pytest.fail.Exception, match=r"needs no-such-program \(Debian: "):
        run(name, [])
