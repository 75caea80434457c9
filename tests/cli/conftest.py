"""Run commands on a store: inside this process, and in a process of its own where that matters."""

import subprocess

import pytest
from typer.testing import CliRunner

import colonnade as cn
from colonnade.cli.commands import app
from support.command_line import COMMAND, environment
from support.flights import nyc


@pytest.fixture
def store(tmp_path):
    return cn.Store(tmp_path / "store")


@pytest.fixture
def cli(store):
    """Run a command in this process, on the store."""

    def run(*args, status=0):
        result = CliRunner().invoke(app, ["--store", str(store.path), *map(str, args)], prog_name="colonnade")
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def shell(store):
    """Run a command in a process of its own, on the store."""

    def run(*args, status=0, **options):
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        result = subprocess.run([*COMMAND, *map(str, args)], env=environment(store), text=True, check=False, **options)
        assert result.returncode == status, result.stderr
        return result

    return run


@pytest.fixture
def flights(store):
    """Three tables of the store."""
    for table in ("airlines", "airports", "planes"):
        store.put(f"nyc/{table}", nyc(table)).close()
