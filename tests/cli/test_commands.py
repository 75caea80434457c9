"""What holds for every command: help, completion, wrong usage, messages of errors."""

import subprocess
import sys

import pandas as pd
import pytest

import colonnade as cn
from support.command_line import COMMAND, environment
from support.flights import DATA, nyc


def test_version_and_help_are_quick():
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom colonnade.cli.commands import app\n"
        "for option in '--version', '-h', '--help':\n    print(CliRunner().invoke(app, [option]).output)\n"
        "print([m for m in ('pandas', 'rich.progress', 'rich.table', 'pyarrow.parquet') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.startswith(f"colonnade {cn.__version__}\n")
    assert all(
        f"\n  {command} " in output
        for command in ("load", "dump", "ls", "show", "sql", "explain", "delete", "gc", "top", "check")
    )
    assert output.endswith("\n[]\n")


def test_help_says_in_a_whole_sentence_what_each_command_does(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    commands = cli("--help").output.partition("Commands:\n")[2].splitlines()
    assert len(commands) > 15
    assert [line for line in commands if not line.endswith(".") or line.endswith("...")] == []


def test_names_are_completed(store, flights, shell):
    script = {"_COLONNADE_COMPLETE": "complete_bash", "COMP_CWORD": "2"}

    def complete(words, **more):
        env = environment(store) | script | {"COMP_WORDS": words} | more
        return subprocess.run(COMMAND, env=env, capture_output=True, text=True, check=False).stdout.split()

    assert complete("colonnade show nyc/air") == ["nyc/airlines", "nyc/airports"]
    assert complete("colonnade delete x") == []
    assert {"load", "ls", "show"} <= set(complete("colonnade ", COMP_CWORD="1"))


@pytest.mark.parametrize(
    "args",
    [(), ("nope",), ("show",), ("show", "x", "--rows", "-1"), ("load", "x"), ("load", "x", "x.csv", "--format", "xls")],
)
def test_wrong_usage(args, cli):
    result = cli(*args, status=2)
    assert "Usage: colonnade" in result.stderr + result.stdout
    assert "Traceback" not in result.output


def test_other_users_are_trusted_by_name_and_number(cli, store, flights, monkeypatch):
    users = []
    monkeypatch.setattr("colonnade.cli.arguments.Store", lambda path, trust: users.append(set(trust)) or store)
    cli("--trust", "root", "--trust", "1234,5", "ls")
    monkeypatch.setenv("COLONNADE_TRUST", "root,77")
    cli("ls")
    assert users == [{0, 1234, 5}, {0, 77}]
    assert "there is no user of this name" in cli("--trust", "nobody-of-this-name", "ls", status=2).stderr


@pytest.mark.parametrize(
    "args",
    [("ls",), ("ls", "--json"), ("show", "t"), ("explain", "t"), ("dump", "t", "t.csv"), ("dump", "t", "-"), ("delete", "t"),
     ("delete", "*"), ("gc",), ("check",)],
)  # fmt: skip
def test_there_is_no_such_store(args, cli, store):
    result = cli(*args, status=1)
    assert result.stdout == ""
    assert result.stderr.startswith(f"colonnade: there is no store at {store.path}; ")
    assert not store.path.exists()


@pytest.mark.parametrize(
    "args", [("show", "no such"), ("explain", "nope"), ("delete", "../x"), ("load", "a//b", DATA / "planes.csv")]
)
def test_an_error_is_its_message(args, cli, store):
    name = args[1]
    store.put("other", nyc("airlines")).close()
    with pytest.raises(cn.ColonnadeError) as error:
        store.put(name, nyc("airlines")) if args[0] == "load" else store.open(name)
    result = cli(*args, status=1)
    assert result.stdout == ""
    assert result.stderr == f"colonnade: {error.value}\n"


def test_a_message_keeps_its_lines(cli, store, monkeypatch):
    objects = pd.DataFrame({"x": [object()], "y": [1], "z": [object()]})
    monkeypatch.setattr(cn.Store, "load", lambda *_, **options: store.put("x", objects))  # no file holds such columns
    with pytest.raises(cn.UnsupportedTypeError) as error:
        store.put("x", objects)
    result = cli("load", "planes", DATA / "planes.csv", status=1)
    assert result.stderr == f"colonnade: {error.value}\n"
    assert result.stderr.count("\n") > 2


def test_a_store_that_cannot_be(cli, store, tmp_path):
    store.path.write_text("a file")
    result = cli("load", "planes", DATA / "planes.csv", status=1)
    assert result.stderr.startswith(f"colonnade: {store.path} cannot be a store: ")
    assert "Errno" not in result.stderr
