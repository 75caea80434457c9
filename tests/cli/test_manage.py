"""Commands that tidy: `delete`, `gc`, `check`, `configure`, `versions`, `rename`, `copy`."""

import json
import os
import pty
import subprocess

import pandas as pd
import pytest

import colonnade as cn
from support.command_line import COMMAND, environment
from support.flights import nyc


def test_delete(cli, store, flights):
    result = cli("delete", "nyc/airlines", "nope", "nyc/planes", status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("colonnade: there is no table 'nope' in ")
    assert [table.name for table in store.ls()] == ["nyc/airports"]
    assert json.loads(cli("delete", "nyc/airports", "--json").stdout) == ["nyc/airports"]
    assert cli("delete", status=2).stdout == ""


def test_delete_by_pattern(cli, store, flights):
    result = cli("delete", "nyc/air*", status=1)
    assert result.stderr.startswith(
        "colonnade: Delete 2 tables: nyc/airlines, nyc/airports? Nobody can be asked here; --yes"
    )
    assert len(store.ls()) == 3
    assert "no table matches 'x*'" in cli("delete", "x*", "--yes", status=1).stderr
    assert json.loads(cli("delete", "nyc/air*", "nyc/airlines", "--yes", "--json").stdout) == [
        "nyc/airlines",
        "nyc/airports",
    ]
    assert [table.name for table in store.ls()] == ["nyc/planes"]


def test_a_question_about_many_tables_names_ten(cli, store):
    for number in range(13):
        store.put(f"many/{number:02}", pd.DataFrame({"x": [1]})).close()
    assert "Delete 13 tables: many/00, many/01, " in (text := cli("delete", "many/*", status=1).stderr)
    assert ", many/09 and 3 more?" in text


@pytest.mark.parametrize(("answer", "status", "left"), [(b"y\n", 0, 1), (b"n\n", 1, 3), (b"\n", 1, 3)])
def test_delete_by_pattern_asks(answer, status, left, store, flights):
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "delete", "nyc/air*"],
        stdin=its,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(store),
    )
    os.close(its)
    os.write(mine, answer)
    stdout, stderr = process.communicate(timeout=30)
    os.close(mine)
    assert stderr.startswith(b"Delete 2 tables: nyc/airlines, nyc/airports? [y/N]")
    assert (stdout, process.returncode, len(store.ls())) == (b"", status, left)


def test_gc(cli, store):
    for _ in range(2):
        store.put("x/y", nyc("airlines"), keep=2).close()
    (store.path / "x" / "y.arrow").unlink()  # as a crash between two steps of delete leaves it
    report = json.loads(cli("gc", "--json").stdout)
    assert (report["files"], report["folders"]) == (1, 1)
    assert report["nbytes"] > 0
    assert cli("gc").stdout == "0 files and 0 folders removed, 0B\n"


def test_check(cli, store, flights):
    assert cli("check").stdout == f"no problems in {store.path}\n"
    assert json.loads(cli("check", "--json").stdout) == []
    broken = store.path / "nyc" / "planes.arrow"
    broken.write_bytes(b"no such thing")
    (problem,) = json.loads(cli("check", "--json", status=1).stdout)
    assert problem == {field: str(getattr(store.check()[0], field)) for field in ("path", "what", "remedy")}
    assert problem["path"] == str(broken)
    heading, line = cli("check", status=1).stdout.splitlines()
    assert heading.split() == ["path", "problem", "remedy"]
    assert all(text in line for text in problem.values())


def test_configure_sets_and_prints(cli, store):
    assert cli("configure").stdout.splitlines() == [
        "capacity as much as the file system has",
        "spares   an eighth of the file system",
        "mode     600",
    ]
    assert not store.path.exists()
    lines = cli("configure", "--capacity", "8GiB", "--spares", "0", "--mode", "640").stdout.splitlines()
    assert lines == ["capacity 8.0GiB (8,589,934,592 bytes)", "spares   0B (0 bytes)", "mode     640"]
    assert json.loads(cli("configure", "--json").stdout) == {
        "capacity": 8 << 30,
        "spares": 0,
        "mode": "640",
        "trust": None,
    }
    assert cn.Store(store.path).settings == (8 << 30, 0, 0o640, None)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--capacity", "much", "capacity is 'much'"),
        ("--mode", "666", "'600', '640'"),
        ("--mode", "rw", "'600', '640'"),
    ],
)
def test_configure_with_what_makes_no_sense(option, value, words, cli, store):
    assert words in cli("configure", option, value, status=2).stderr
    assert not store.path.exists()


def test_versions_rename_and_copy(cli, store):
    for n in (1, 2, 3):
        store.put("a/t", pd.DataFrame({"n": range(n)}), keep=2, meta={"n": n}).close()
    versions = json.loads(cli("versions", "a/t", "--json").stdout)
    assert [(each["version"], each["rows"], each["meta"]) for each in versions] == [(2, 2, {"n": 2}), (3, 3, {"n": 3})]
    heading, *lines = cli("versions", "a/t").stdout.splitlines()
    assert heading.split()[-1] == "meta"
    assert [line.split()[1] for line in lines] == ["2", "3"]
    assert '{"n": 3}' in cli("explain", "a/t").stdout
    assert cli("copy", "a/t", "b", "--version", "-2").stdout.startswith("b version 2: ")
    assert cli("rename", "a/t", "c").exit_code == 0
    assert [table.name for table in store.ls()] == ["b", "c"]
    assert "there is a table 'b' already" in cli("rename", "c", "b", status=1).stderr
    assert "did you mean" not in cli("versions", "q", status=1).stderr
