"""`colonnade tail` and `colonnade append`: real processes, real pipes, Ctrl-C."""

import contextlib
import json
import os
import signal
import subprocess

import pandas as pd
import pytest
from typer.testing import CliRunner

from colonnade.cli.commands import app
from support.command_line import COMMAND


@pytest.fixture
def start(store):
    """Start a command, with pipes at its ends."""
    processes = []

    def run(*arguments):
        environment = os.environ | {"COLONNADE_STORE": str(store.path), "PYTHONUNBUFFERED": "1"}
        pipe = subprocess.PIPE
        command = [*COMMAND, *map(str, arguments)]
        processes.append(subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def shell(store):
    """Run a command in this process on some input; what it prints."""

    def run(*arguments, given="", status=0):
        command = ["--store", str(store.path), *map(str, arguments)]
        result = CliRunner().invoke(app, command, input=given, prog_name="colonnade")
        assert result.exit_code == status, result.output
        return result.stdout if status == 0 else result.stderr

    return run


def interrupt(process):
    """Press Ctrl-C until it ends: Python ignores one that comes within a finalizer."""
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert process.wait(20) == 130  # a second Ctrl-C while it ends would end it by the signal
            return
    pytest.fail("it does not end")


CSV = "time,bid,venue,live\n2026-01-01 00:00:00,1.5,X,true\n2026-01-01 00:00:01.5,,Y,false\n2026-01-01 00:00:02,2.5,X,true\n"


def test_csv_becomes_a_growing_table(store, shell):
    assert shell("append", "ticks", "--index", "time", given=CSV) == "ticks: 3 rows appended, 3 in all\n"
    frame = store.get("ticks")
    assert frame.index.name == "time"
    assert frame.index.dtype == "datetime64[ns]"
    assert frame.index[1] == pd.Timestamp("2026-01-01 00:00:01.5")
    assert frame["bid"].tolist()[::2] == [1.5, 2.5]
    assert pd.isna(frame["bid"].iloc[1])
    assert frame["venue"].tolist() == ["X", "Y", "X"]
    assert frame["live"].tolist() == [True, False, True]
    more = "venue,live,time,bid\nZ,true,2026-01-01 00:00:03,7\n"
    assert shell("append", "ticks", given=more) == "ticks: 1 row appended, 4 in all\n"
    assert store.get("ticks")["bid"].iloc[-1] == 7.0


def test_json_lines_are_appended_as_they_come(store, start):
    process = start("append", "t", "--format", "json")
    follow = None
    for number in range(3):
        process.stdin.write(json.dumps({"n": number, "word": f"w{number}"}) + "\n")
        process.stdin.flush()
        if follow is None:
            watch = store.watch("t", timeout=150)
            next(watch)
            follow = store.follow("t", start="first", timeout=150)
        assert next(follow).to_pandas()["n"].tolist() == [number]
    out, _ = process.communicate(timeout=150)
    assert out == "t: 3 rows appended, 3 in all\n"


def test_lines_that_do_not_fit_are_an_error_that_names_them(store, shell):
    shell("append", "t", given="a,b\n1,2\n")
    output = shell("append", "t", given="a,b\n3,4\n5,x\n", status=1)
    assert "lines 1 to 3 were not appended" in output
    assert "'x'" in output
    assert store.get("t")["a"].tolist() == [1]
    assert "'c'" in shell("append", "t", given="a,c\n1,2\n", status=1)
    assert "were not appended" in shell("append", "t", "--format", "json", given='{"a": 1, "z": 2}\n', status=1)
    assert store.get("t")["a"].tolist() == [1]
    nested = shell("append", "n", "--format", "json", given='{"a": 1, "b": {"c": [2]}}\n', status=1)
    assert "lines 1 to 1 were not appended" in nested
    assert "'b' (struct<c: list<item: int64>>)" in nested
    assert not store.exists("n")


def test_first_lines_that_do_not_fit_leave_no_table(store, shell):
    output = shell("append", "t", "--index", "a", given="a,b\n2,1\n1,2\n", status=1)
    assert "the index 'a' of a growing table ascends" in output
    assert not store.exists("t")
    assert "several columns are called ['a']" in shell("append", "t", given="a,b,a\n1,2,3\n", status=1)
    assert not store.exists("t")


def test_the_index_is_that_of_the_table(store, shell):
    shell("append", "t", "--index", "a", given="a,b\n1,1\n")
    shell("append", "t", "--index", "a", given="a,b\n2,1\n")
    assert "'t' has the index 'a'" in shell("append", "t", "--index", "b", given="a,b\n3,3\n", status=2)
    assert store.open("t").version == 2


def test_nulls_in_the_first_lines(store, shell):
    lines = '{"n": 1, "flag": true, "later": null}\n{"n": null, "flag": null, "later": null}\n'
    shell("append", "t", "--format", "json", given=lines)
    shell("append", "t", "--format", "json", given='{"n": 9007199254740993, "flag": false, "later": "text"}\n')
    frame = store.get("t")
    assert [str(dtype) for dtype in frame.dtypes] == ["Int64", "boolean", "str"]
    assert frame["n"].tolist() == [1, pd.NA, 9007199254740993]
    assert frame["later"].tolist()[2] == "text"


def test_input_without_rows(store, shell):
    assert shell("append", "t", given="a,b\n") == "t: 0 rows appended, 0 in all\n"
    assert not store.exists("t")


def test_a_table_that_another_process_appends_to(store, start):
    with store.appender("t", {"a": "int64"}):
        process = start("append", "t")
        _, errors = process.communicate("a\n1\n", timeout=150)
        assert process.returncode == 1
        assert f"process {os.getpid()}" in errors


def test_ctrl_c_keeps_what_was_appended(store, start):
    process = start("append", "t")
    process.stdin.write("a\n1\n2\n")
    process.stdin.flush()
    next(store.watch("t", timeout=150))
    next(store.follow("t", start="first", timeout=150))
    interrupt(process)
    assert store.get("t")["a"].tolist() == [1, 2]
    with store.appender("t") as log:
        assert log.append({"a": [3]}) == 3


def test_tail_of_a_growing_table(store, shell):
    with store.appender("t", {"time": "datetime64[s]", "bid": "float64"}, index="time") as log:
        log.append({"time": pd.date_range("2026-01-01", periods=30, freq="s").to_numpy(), "bid": range(30)})
    lines = shell("tail", "t", "-n", 2).splitlines()
    assert [line.split() for line in lines] == [
        ["time", "bid"],
        ["2026-01-01", "00:00:28", "28.0"],
        ["2026-01-01", "00:00:29", "29.0"],
    ]
    assert len(shell("tail", "t").splitlines()) == 21
    rows = [json.loads(line) for line in shell("tail", "t", "-n", 3, "--json").splitlines()]
    assert [row["bid"] for row in rows] == [27.0, 28.0, 29.0]
    assert rows[0]["time"] == "2026-01-01T00:00:27"


def test_tail_of_a_table_that_was_put(store, shell):
    store.put("t", pd.DataFrame({"x": range(5)})).close()
    assert [json.loads(line) for line in shell("tail", "t", "-n", 2, "--json").splitlines()] == [{"x": 3}, {"x": 4}]
    assert "growing" in shell("tail", "t", "--follow", status=1)


def test_tail_follows_until_ctrl_c(store, start):
    with store.appender("t", {"n": "int64", "s": "str"}) as log:
        log.append({"n": [1, 2, 3], "s": ["a", None, "c"]})
        process = start("tail", "t", "-n", 1, "--follow", "--json")
        assert json.loads(process.stdout.readline()) == {"n": 3, "s": "c"}
        for number in range(4, 7):
            log.append({"n": [number], "s": ["long" * number]})
            assert json.loads(process.stdout.readline()) == {"n": number, "s": "long" * number}
    interrupt(process)
    assert process.stderr.read() == ""


def test_tail_ends_when_nobody_reads_it(store, start):
    with store.appender("t", {"n": "int64"}) as log:
        log.append({"n": [1]})
    process = start("tail", "t", "-f", "--json")
    assert json.loads(process.stdout.readline()) == {"n": 1}
    process.stdout.close()
    process.wait(150)
    assert process.stderr.read() == ""


def test_tail_ends_when_the_table_is_deleted(store, start):
    with store.appender("t", {"n": "int64"}) as log:
        log.append({"n": [1]})
    process = start("tail", "t", "-f")
    assert process.stdout.readline().split() == ["n"]
    assert process.stdout.readline().split() == ["1"]
    store.delete("t")
    _, errors = process.communicate(timeout=150)
    assert process.returncode == 1
    assert "deleted" in errors


def test_lines_for_a_table_that_another_process_made_meanwhile(store, start):
    """Whether the table is new is known when it is made, which may be long after the command began."""
    process = start("append", "t", "--index", "a")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)  # it waits for its first line
    store.append("t", pd.DataFrame({"b": [1, 2]}, index=pd.Index([5, 6], name="a")))
    assert "less than the last row of the table" in process.communicate("a,b\n1,1\n")[1]
    assert process.returncode == 1
    assert store.get("t")["b"].tolist() == [1, 2]

    process = start("append", "t")
    assert process.communicate("a,b\n7,3\n")[0] == "t: 1 row appended, 3 in all\n"
    store.delete("t")


def test_a_table_that_does_not_grow_is_named(store, shell):
    store.put("tab", pd.DataFrame({"a": [1]}))
    for options in ((), ("--index", "b")):
        assert "does not grow" in shell("append", "tab", *options, given="a\n1\n", status=1)
    assert store.get("tab")["a"].tolist() == [1]
