"""``colonnade top``: prints once in a pipe, runs live in a terminal, and restores the terminal."""

import codecs
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pandas as pd
import pytest

import colonnade as cn
from colonnade.sizes import format_size
from support.command_line import COMMAND

pytestmark = pytest.mark.slow  # each test starts processes and waits for them


def frame(mib):
    return pd.DataFrame({"x": np.zeros(mib << 17)})


def top(store, *args):
    command = [*COMMAND, "--store", store.path, "top", *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Terminal:
    """A terminal in which a program runs: it collects the output and sends keys."""

    def __init__(self, *command, width=80, height=24, **variables):
        self.mine, self.its = pty.openpty()
        self.resize(width, height)
        self.before = termios.tcgetattr(self.its)
        self.output = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _AT_TERMINAL, *map(str, command)], stdin=self.its, stdout=self.its, stderr=self.its,
            env=environment | {"TERM": "xterm"} | variables, start_new_session=True,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.mine)
        os.close(self.its)

    def resize(self, width, height):
        fcntl.ioctl(self.its, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def type(self, keys):
        os.write(self.mine, keys)

    def read(self, seconds):
        if select.select([self.mine], [], [], seconds)[0]:
            self.output += self._decode(os.read(self.mine, 1 << 16))

    def wait_for(self, pattern, seconds=20):
        """Wait until new output contains a pattern; returns the output."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self.output, re.DOTALL)):
            assert time.monotonic() < end, f"{pattern!r} is not in {self.output!r}"
            self.read(0.1)
        before, self.output = self.output[: match.end()], self.output[match.end() :]
        return before

    def end(self):
        """Wait for the program's end; returns its exit status. ``output`` has the rest of its output."""
        end = time.monotonic() + 20
        while self.process.poll() is None:
            assert time.monotonic() < end
            self.read(0.05)
        self.read(0)
        return self.process.returncode

    def is_as_before(self):
        return (
            termios.tcgetattr(self.its) == self.before and "\x1b[?1049l" in self.output and "\x1b[?25h" in self.output
        )


# The terminal becomes the session's own, so that its keys are signals.
_AT_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def store(folder):
    """A store without spares, so a deleted table is really deleted."""
    return cn.Store(folder / "store", spares=0)


def live(store, *args, **options):
    return Terminal(*COMMAND, "--store", store.path, "top", *args, **options)


# -- once --------------------------------------------------------------------------------------------------------------


def test_json_is_the_usage(store):
    store.put("a/t", frame(1), keep=2).close()
    reader = store.get("a/t")
    store.put("a/t", frame(1)).close()
    output, usage = json.loads(top(store, "--json")), store.usage()
    assert output["path"] == str(store.path)
    assert output["nbytes"] == usage.nbytes
    assert output["filesystem"] == usage.filesystem
    assert set(output) == {*usage._fields, "nbytes"}
    assert [list(segment) for segment in output["segments"]] == [list(segment._fields) for segment in usage.segments]
    (deleted,) = [segment for segment in output["segments"] if segment["role"] == "deleted"]
    assert [(holder["pid"], holder["kind"]) for holder in deleted["holders"]] == [(os.getpid(), "mapped")]
    assert output["segments"][0]["created"] == usage.segments[0].created.isoformat()
    del reader


def test_a_pipe_gets_one_plain_table(store):
    name = "a-name-that-is-wider-than-any-terminal/" * 4 + "t"
    store.put("small", frame(1)).close()
    store.put(name, frame(3)).close()
    reader = store.get("small")
    store.delete("small")
    path, sizes, parts, *unseen, empty, heading, first, second = top(store, "--every", "60").splitlines()
    assert path == str(store.path)
    assert sizes.startswith(f"{format_size(store.usage().nbytes)} used, ")
    table, deleted = store.usage().segments
    assert (
        parts
        == f"tables {format_size(table.nbytes)}, 0 spares, 0 drafts, 1 deleted segment {format_size(deleted.nbytes)}"
    )
    assert len(unseen) <= 1
    assert empty == ""
    assert heading.split() == ["name", "version", "rows", "size", "age", "processes"]
    assert first.split()[:4] == [name, "1", "393,216", format_size(table.nbytes)]
    assert second.split()[:3] == ["small", "deleted", format_size(deleted.nbytes)]
    assert second.endswith(f" {os.getpid()}")
    assert "\x1b" not in first
    del reader


def test_a_store_that_is_not_there(store):
    lines = top(store).splitlines()
    assert lines[1].startswith("0B used, ")
    assert lines[-1].split() == ["name", "version", "rows", "size", "age", "processes"]


# -- live --------------------------------------------------------------------------------------------------------------


def test_it_is_refreshed_until_q(store):
    store.put("first", frame(1)).close()
    with live(store, "--every", "0.1") as terminal:
        terminal.wait_for(re.escape("\x1b[?1049h"))
        terminal.wait_for("first .*131,072")
        store.put("second", frame(2)).close()
        terminal.wait_for("second .*262,144.*first ")
        reader = store.get("second")
        terminal.wait_for(rf"second [^\n]* {os.getpid()}")
        store.delete("second")
        terminal.wait_for(r"1 deleted segment.*second *deleted")
        del reader
        terminal.wait_for("0 deleted segments")
        assert termios.tcgetattr(terminal.its) != terminal.before
        terminal.type(b"x")  # any other key is none
        terminal.wait_for("first ")
        terminal.type(b"q")
        assert terminal.end() == 0
        assert terminal.is_as_before()


def test_q_is_heard_at_once(store):
    with live(store, "--every", "600") as terminal:
        terminal.wait_for("processes")
        terminal.type(b"q")
        assert terminal.end() == 0


def test_interrupt(store):
    with live(store) as terminal:
        terminal.wait_for("processes")
        terminal.type(b"\x03")
        assert terminal.end() == 130
        assert terminal.is_as_before()
        assert "Traceback" not in terminal.output


def test_termination(store):
    with live(store, "--every", "600") as terminal:
        terminal.wait_for("processes")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == -signal.SIGTERM
        assert terminal.is_as_before()


def test_stopped_and_continued(store):
    # A program of no shell is an orphan, which the terminal does not stop: so a shell runs it.
    command = f"{' '.join(COMMAND)} --store {store.path} top; echo stopped; read line; fg"
    with Terminal("/bin/bash", "-mc", command) as terminal:
        terminal.wait_for("processes")
        terminal.type(b"\x1a")
        output = terminal.wait_for(r"\x1b\[\?1049l.*stopped")
        assert "\x1b[?25h" in output
        assert termios.tcgetattr(terminal.its) == terminal.before
        terminal.type(b"\n")
        terminal.wait_for(r"\x1b\[\?1049h.*processes")
        terminal.type(b"q")
        assert terminal.end() == 0
        assert terminal.is_as_before()


def test_an_error_leaves_the_terminal_as_it_was(folder):
    store = cn.Store(folder / "store")
    with live(store, "--every", "0.1") as terminal:
        terminal.wait_for("processes")
        store.path.write_text("a file")
        assert terminal.end() == 1
        assert terminal.is_as_before()
        assert f"colonnade: {store.path} cannot be read as a store" in terminal.output.replace("\r\n", "")


@pytest.mark.parametrize("width", [40, 60, 100])
def test_it_fits_the_window(width, store):
    for number in range(30):
        store.put(f"a/table/whose/name/is/rather/long/{number}", pd.DataFrame({"x": range(number)})).close()
    frame = [store.get(table.name) for table in store.ls()]
    with live(store, "--every", "600", width=width, height=15) as terminal:
        screen = terminal.wait_for(r"… \d+ more")
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) == 15
        assert lines[-1].strip() == f"… {30 - sum('a/t' in line for line in lines)} more"
        terminal.resize(width + 20, 30)
        wider = terminal.wait_for(r"… \d+ more")  # at once, not after ten minutes
        assert len(wider.splitlines()) == 30
        terminal.type(b"q")
        assert terminal.end() == 0
    del frame


def test_it_scrolls_and_sorts(store):
    for number in range(20):
        store.put(f"t{number:02d}", pd.DataFrame({"x": np.zeros(1000 * (20 - number))})).close()
    frame = store.get("t07")
    with live(store, "--every", "600", width=120, height=11) as terminal:

        def rows_after(keys, below):
            """The numbers of the rows on the screen, once the last line of the screen is the expected one."""
            terminal.type(keys)
            screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.wait_for(below))
            return [int(number) for number in re.findall(r"^t(\d\d)", screen, re.MULTILINE)]

        first = rows_after(b"", r"\d+ more")  # the largest
        n = len(first)  # there is a line more where a process cannot be looked at

        def rows(start):
            return list(range(start, start + n))

        assert first == rows(0)
        assert rows_after(b"\x1b[B", f"… 1 above, {19 - n} more") == rows(1)
        assert rows_after(b"jj", f"… 3 above, {17 - n} more") == rows(3)
        assert rows_after(b"\x1b[A", f"… 2 above, {18 - n} more") == rows(2)
        assert rows_after(b"\x1b[6~", f"… {1 + n} above, {19 - 2 * n} more") == rows(1 + n)  # a page less a line
        assert rows_after(b"\x1b[F", f"… {20 - n} above") == rows(20 - n)
        assert rows_after(b"\x1b[B\x1b[B", f"… {20 - n} above") == rows(20 - n)  # there is no more
        assert rows_after(b"\x1b[H", f"… {20 - n} more") == rows(0)
        upwards = rows(20 - n)[::-1]
        assert rows_after(b"r", rf"by size ↑.*… {20 - n} more") == upwards
        assert rows_after(b"s", rf"by name ↑.*… {20 - n} more") == rows(0)
        assert rows_after(b"sr", rf"by rows ↑.*… {20 - n} more") == upwards
        assert rows_after(b"s", rf"by age ↓.*… {20 - n} more") == upwards  # the newest
        assert rows_after(b"s", rf"by processes ↓.*… {20 - n} more")[0] == 7
        terminal.type(b"q")
        assert terminal.end() == 0
    del frame


def test_without_a_terminal_to_draw_on_it_prints_once(store):
    with live(store, TERM="dumb") as terminal:
        assert terminal.end() == 0
        assert "\x1b" not in terminal.output
        assert "processes" in terminal.output


def test_wrong_usage(store):
    process = subprocess.run([*COMMAND, "--store", store.path, "top", "--every", "0"], capture_output=True, check=False)
    assert process.returncode == 2
