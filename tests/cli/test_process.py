"""The command line as a process: its streams, Ctrl-C, and terminals of some width."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from support.command_line import COMMAND, environment
from support.flights import nyc

pytestmark = pytest.mark.slow  # each test starts processes and waits for them


def test_process(shell, store, tmp_path):
    airlines = tmp_path / "airlines.parquet"
    nyc("airlines").to_parquet(airlines)
    assert json.loads(shell("load", "airlines", airlines, "--json").stdout)["rows"] == 16
    assert_frame_equal(store.get("airlines"), nyc("airlines"))
    result = shell("load", "missing", "missing.csv", status=1)
    assert (result.stdout, result.stderr) == ("", "colonnade: missing.csv: No such file or directory\n")
    assert shell("--store", tmp_path / "other", "ls", "--json", status=1).stdout == ""
    assert "a store is a directory of this machine" in shell("--store", "s3://bucket/x", "ls", status=2).stderr


def test_reader_that_leaves(store):
    store.put("airports", nyc("airports")).close()
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(
        [*COMMAND, "show", "airports"], stdout=writing, stderr=subprocess.PIPE, env=environment(store), check=False
    )
    os.close(writing)
    assert process.stderr == b""
    assert process.returncode == -signal.SIGPIPE


def test_full_disk(shell, store):
    store.put("airports", nyc("airports")).close()
    with Path("/dev/full").open("w") as full:
        assert shell("ls", stdout=full, status=1).stderr == "colonnade: No space left on device\n"


@pytest.mark.parametrize("arguments", [["ls"], ["append", "g"], ["show", "g"], ["load", "t", "-", "--format", "csv"]])
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_standard_streams(store, arguments, closed):
    with store.appender("g", {"x": "int64"}) as log:
        log.append({"x": [1]})
    streams = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    process = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *COMMAND, *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, env=environment(store), check=False,
    )  # fmt: skip
    assert b"Traceback" not in process.stderr
    assert process.returncode == (1 if arguments[0] == "load" else 0)


def test_interrupt(store, tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [*COMMAND, "load", "pipe", pipe], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(store)
    )
    with pipe.open("wb") as writer:  # open: the command is loading
        process.send_signal(signal.SIGINT)
        writer.write(b"a\n1\n")
    assert process.communicate() == (b"", b"")
    assert process.returncode == 130
    assert store.ls() == []


def test_interrupt_of_a_query(store):
    store.put("n", pd.DataFrame({"n": np.arange(1_000_000)})).close()
    query = "select sum(a.n * b.n) from n a, n b"  # it would take minutes
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from colonnade.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "sql", query],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(store),
    )
    while "/n.arrow" not in Path(f"/proc/{process.pid}/maps").read_text():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # it has the table, and is about to run
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == (b"", b"")
    assert process.returncode == 130


def terminal(read_from, command, store, columns=60, typed=b"", **streams):
    """What a command shows in a terminal, where this is typed. ``streams`` are the streams that are not the terminal."""
    mine, its = pty.openpty()
    os.write(mine, typed)
    variables = environment(store, COLUMNS=str(columns), TERM="xterm", NO_COLOR="1")
    process = subprocess.Popen([*COMMAND, *map(str, command)], env=variables, **({read_from: its} | streams))
    os.close(its)
    output = b""
    try:
        while piece := os.read(mine, 1 << 16):
            output += piece
    except OSError:  # the last writer has closed it
        pass
    os.close(mine)
    return process, output.decode()


def test_terminal_gets_what_fits(store):
    store.put("planes", nyc("planes")).close()
    process, output = terminal("stdout", ["show", "planes"], store)
    lines = output.splitlines()
    assert process.wait() == 0
    assert max(map(len, lines)) <= 60 + len("\x1b[1m\x1b[0m") * 9
    assert "tailnum" in lines[0]
    assert "engine" in lines[0]
    assert "…" in lines[1]
    assert "10 of 3,322 rows, " in lines[-1]
    assert "\x1b[3" not in output  # NO_COLOR


def test_terminal_gets_what_fits_of_a_query(store):
    store.put("planes", nyc("planes")).close()
    for rows, end in ((3, "3 rows and more, "), (4000, "3,322 rows, ")):
        process, output = terminal("stdout", ["sql", "from planes", "--rows", rows], store)
        assert process.wait() == 0
        assert output.splitlines()[-1].removeprefix("\x1b[2m").startswith(end)


def test_narrow_terminal_loses_no_column(store):
    store.put("a-table-of-a-name-of-some-length", nyc("planes")).close()
    process, output = terminal("stdout", ["explain", "a-table-of-a-name-of-some-length"], store)
    assert process.wait() == 0
    assert all(heading in output for heading in ("column", "role", "arrow", "pandas", "size", "nulls", "opens"))
    process, output = terminal("stdout", ["ls"], store, columns=40)
    assert process.wait() == 0
    assert re.search(r"\b3,322 +\d+ +[0-9.]+KiB +\d+s", output)  # a number is not broken


def test_a_terminal_ends_its_input_with_one_ctrl_d(store):
    streams = {"stdout": subprocess.DEVNULL}
    process, _ = terminal("stdin", ["load", "typed", "-", "--format", "csv"], store, typed=b"a\n1\n\x04", **streams)
    assert process.wait(60) == 0
    assert store.get("typed")["a"].tolist() == [1]


def test_a_terminal_that_does_not_have_every_letter(store):
    store.put("t", pd.DataFrame({"café": ["naïve"]}))
    result = subprocess.run(
        [*COMMAND, "show", "t"], env=environment(store, PYTHONIOENCODING="ascii"), capture_output=True, check=True
    )
    assert result.stdout.split() == [b"caf\\xe9", b"na\\xefve"]


def test_long_load_shows_a_bar(store, tmp_path):
    pipe = tmp_path / "long.csv"  # as slow as it is written
    os.mkfifo(pipe)
    writer = threading.Thread(target=write_slowly, args=(pipe, [b"a\n", *[b"1\n" * (3 << 20)] * 2], 1.5))
    writer.start()
    process, output = terminal("stderr", ["load", "long", pipe, "--json"], store, stdout=subprocess.PIPE)
    writer.join()
    report = json.loads(process.stdout.read())
    process.stdout.close()
    assert process.wait() == 0
    assert report["rows"] == 6 << 20
    assert "loading long" in output
    assert re.search(r"[1-9],\d{3},\d{3} rows +[\d.]+MiB +0:00:0[1-9]", output)


def write_slowly(path, parts, pause):
    with path.open("wb") as file:
        for part in parts:
            file.write(part)
            file.flush()
            time.sleep(pause)


def test_short_load_shows_nothing(store, tmp_path):
    (tmp_path / "short.csv").write_text("a\n1\n")
    process, output = terminal("stderr", ["load", "short", tmp_path / "short.csv"], store, stdout=subprocess.DEVNULL)
    assert (process.wait(), output) == (0, "")
