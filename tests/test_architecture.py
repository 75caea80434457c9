"""The drawing in docs/architecture.md, as a table: who may import whom. An arrow only points down."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import colonnade

ROOT = Path(colonnade.__file__).parent

# Each part may import itself and what is named; `errors` is everybody's. A thing imports its card when it is shown.
MAY_IMPORT = {
    "__init__": {
        "api",
        "default_store",
        "conversion",
        "draft_table",
        "newest",
        "snapshot",
        "store",
        "travel",
        "watching",
        "errors",
    },
    "__main__": {"cli"},
    "default_store": {"api", "conversion", "draft_table", "newest", "snapshot", "store", "watching"},
    "writing": {"store", "layout", "convert"},
    "api": {
        "sharing",
        "cards",
        "draft_table",
        "loading",
        "progress",
        "writing",
        "watching",
        "newest",
        "snapshot",
        "store",
        "neighbours",
        "convert",
        "layout",
        "errors",
    },
    "watching": {"snapshot", "store", "errors"},
    "loading": {"neighbours"},
    "progress": {"neighbours", "sizes"},  # neighbours: the meter
    "newest": {"snapshot", "errors"},
    "sharing": {"api", "snapshot", "writing", "store", "convert", "layout", "errors"},  # api: as snapshot
    "travel": {"api", "sharing", "snapshot", "neighbours", "convert", "sizes", "errors"},
    "cli": {
        "cards",
        "sizes",
        "terminal",
        "top",
        "__init__",
        "api",
        "snapshot",
        "store",
        "neighbours",
        "convert",
        "demo",
        "errors",
    },
    "top": {"cards", "terminal", "__init__"},
    "conversion": {"neighbours", "convert", "sizes", "_core"},
    "cards": {"sizes", "terminal", "api", "snapshot", "store", "convert", "errors"},  # whose things they are, for types
    "draft_table": {"store", "convert", "_core", "errors"},
    "terminal": set(),
    "sizes": set(),
    "demo": {"__init__", "api", "snapshot", "store", "errors"},
    # api: only to open a pickled reference
    "snapshot": {"api", "store", "neighbours", "convert", "layout", "cards", "errors"},
    "neighbours": {"convert", "errors"},
    "convert": {
        "neighbours",
        "layout",
        "cards",
        "sizes",
        "_core",
        "errors",
    },  # neighbours: pandas' and PyArrow's internals have one file each
    "store": {"layout", "cards", "sizes", "_core", "errors"},  # layout: the seal
    "layout": {"errors"},
    "errors": set(),
}
# Libraries that one part alone may touch at import time.
ONLY_IN = {
    "typer": {"cli"},
    "rich": {"cards", "cli", "terminal", "top", "demo"},
    "polars": {"neighbours"},
    "duckdb": {"neighbours"},
    "pandas": {"neighbours", "convert", "demo"},
}


def modules():
    return sorted(path for path in ROOT.rglob("*.py"))


def part(module):
    """The part a module belongs to; ``from colonnade import put`` is the package itself."""
    name = module.removeprefix("colonnade").removeprefix(".").partition(".")[0]
    return name if name in MAY_IMPORT or name == "_core" else "__init__"


def imports(path):
    """(module, whether it is imported when the file is)."""
    tree = ast.parse(path.read_text())
    lazy = {
        id(node) for scope in ast.walk(tree) if isinstance(scope, (ast.FunctionDef, ast.If)) for node in ast.walk(scope)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "colonnade" else [node.module]
            )
        for name in names:
            yield name, id(node) not in lazy


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_arrows_point_down(path):
    mine = path.relative_to(ROOT).with_suffix("").parts[0]
    for name, _ in imports(path):
        if name.split(".")[0] == "colonnade":
            assert part(name) in MAY_IMPORT[mine] | {mine}, f"{mine} may not import {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_libraries_stay_where_they_belong(path):
    mine = path.relative_to(ROOT).with_suffix("").parts[0]
    for name, at_import in imports(path):
        allowed = ONLY_IN.get(name.split(".")[0])
        if allowed is not None and at_import:
            assert mine in allowed, f"{mine} may not import {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())), "a file opens with what it knows and what it must not know"


def test_import_brings_in_no_frame_library():
    program = (
        "import sys, colonnade; print([m for m in ('pandas', 'polars', 'duckdb', 'typer', 'rich') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_core_knows_no_python():
    core = ROOT.parent / "core"
    if not core.exists():
        pytest.skip("installed without its sources")
    for path in core.iterdir():
        if path.name != "module.cpp":
            assert "Python.h" not in path.read_text()
            assert "nanobind/" not in path.read_text()
