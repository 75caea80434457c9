"""The public names, and what each must have."""

import ast
import importlib
import inspect
import pickle
import pydoc
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import colonnade as cn


def test_names_are_what_the_contract_says():
    assert set(cn.__all__) >= {
        "Store",
        "Snapshot",
        "put",
        "share",
        "by_reference",
        "get",
        "open",
        "ls",
        "exists",
        "delete",
        "gc",
        "check",
        "usage",
        "sql",
        "attach",
        "ColonnadeError",
    }
    assert sorted(cn.__all__) == cn.__all__
    assert dir(cn) == cn.__all__
    with pytest.raises(AttributeError, match="colonnade attribute nothing"):
        cn.nothing  # noqa: B018


def test_import_brings_no_library_that_not_every_process_needs():
    program = """if True:
        import sys
        import colonnade as cn
        heavy = {"pandas", "polars", "duckdb", "typer", "rich", "pyarrow.flight", "pyarrow.dataset", "asyncio"}
        heavy |= {f"colonnade.{name}" for name in ("display", "io", "flight", "conversion", "_put", "_latest", "format.write")}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        cn.put, cn.get
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        from colonnade import *
        assert put is cn.put and Store is cn.Store and Latest is cn.Latest
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_type_checkers_read_the_same_names():
    stub = ast.parse(Path(cn.__file__).with_suffix(".pyi").read_text())
    names = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(names) == set(cn.__all__) - {"__version__"}
    for name, module in names.items():
        assert getattr(importlib.import_module(f"colonnade.{module}"), name) == getattr(cn, name)


# Methods that other files of the library call. No user does, so they need no example.
INTERNAL = {"attached", "at", "forget", "look"}


def own_functions(type_):
    """The public methods of a class, those that it inherits from classes of this package included."""
    members = inspect.getmembers(type_, lambda member: inspect.isfunction(member) or inspect.ismethod(member))
    return [f for name, f in members if not name.startswith("_") and f.__module__.startswith("colonnade.")]


def missing_sections(function):
    """The sections of a docstring that a function needs and has not."""
    signature, text = inspect.signature(function), inspect.getdoc(function)
    needs = {
        "Parameters": bool(set(signature.parameters) - {"self", "cls"}),
        "Returns": signature.return_annotation not in (None, "None"),
    }
    needs["Examples"] = any(needs.values()) and function.__name__ not in INTERNAL and " Always." not in text
    text = text.replace("Yields\n", "Returns\n")
    return [name for name, is_needed in needs.items() if is_needed and f"{name}\n---" not in text]


@pytest.mark.parametrize("name", [name for name in cn.__all__ if name != "__version__"])
def test_each_is_documented_and_typed(name):
    thing = getattr(cn, name)
    assert inspect.getdoc(thing)
    functions = [thing] if inspect.isroutine(thing) else own_functions(thing)
    if isinstance(thing, type) and not issubclass(thing, (Exception, tuple)):
        assert ">>> " in inspect.getdoc(thing)
    for function in functions:
        assert inspect.getdoc(function), function
        hints = function.__annotations__
        assert set(hints) >= {*inspect.signature(function).parameters, "return"} - {"self", "_", "data"}, function
        assert "see `Store." not in inspect.getdoc(function), function
        assert missing_sections(function) == [], function


def test_store_and_functions_agree():
    for name in (
        "put",
        "share",
        "get",
        "open",
        "exists",
        "ls",
        "delete",
        "gc",
        "check",
        "usage",
        "load",
        "dump",
        "allocate",
        "append",
        "appender",
        "info",
        "watch",
        "latest",
        "sql",
        "attach",
    ):
        method = list(inspect.signature(getattr(cn.Store, name)).parameters.values())[1:]
        assert method == list(inspect.signature(getattr(cn, name)).parameters.values())
        assert inspect.getdoc(getattr(cn, name)) == inspect.getdoc(getattr(cn.Store, name)) or name == "gc"


def test_help_shows_the_whole_text():
    text = " ".join(
        pydoc.render_doc(cn.put, renderer=pydoc.plaintext).split()
    )  # 3.13 breaks a long signature into lines
    for part in ("name: 'str', data: 'Data', *, keep: 'int' = 1", "Parameters", "Returns", "Raises", ">>> cn.put("):
        assert part in text


def test_the_functions_are_tasks_of_a_process_pool():
    for function in (cn.put, cn.get, cn.gc):
        assert pickle.loads(pickle.dumps(function)) == function
    assert pickle.loads(pickle.dumps(cn.get)).__self__ is cn.get.__self__


@pytest.mark.parametrize(("error", "builtin"), [
    (cn.NotFoundError, KeyError), (cn.InvalidNameError, ValueError), (cn.StoreFullError, OSError), (cn.StoreAccessError, OSError), (cn.UnreadableFileError, ValueError),
    (cn.CorruptSnapshotError, ValueError), (cn.WaitTimeoutError, TimeoutError), (cn.UnsupportedTypeError, TypeError), (cn.NotATableError, TypeError),
])  # fmt: skip
def test_errors_are_the_builtins_too(error, builtin):
    assert issubclass(error, cn.ColonnadeError)
    assert issubclass(error, builtin)
    assert str(error("plain words")) == "plain words"


def test_typed_marker_and_one_version():
    assert (Path(cn.__file__).parent / "py.typed").exists()
    assert typing.cast(str, cn.__version__).count(".") == 2


@pytest.mark.slow
@pytest.mark.parametrize(("library", "version", "needed"), [("pandas", "2.2.3", "3.0"), ("pyarrow", "24.0.0", "25.0")])
def test_an_old_library_is_named_in_one_line(library, version, needed, tmp_path):
    program = f"""if True:
        import {library}
        {library}.__version__ = {version!r}
        import colonnade as cn
        cn.put("t", b"bytes")
    """
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    expected = (
        f"ImportError: colonnade needs {library} {needed} or newer, found {version}: pip install --upgrade {library}"
    )
    assert process.stderr.splitlines()[-1] == expected
