"""The drawing of docs/architecture.md as assertions about the real imports, and a proof that each assertion can fail.

A *rule* is a function from a source tree to the list of its violations. The rules run on the package itself and must
find nothing; they also run on copies of the package with one bad line, and must find that line.
"""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import colonnade
from support.architecture_rules import (
    ORDER,
    RULES,
    arrows_point_down,
    exceptions_carry_reasons,
    files_say_what_they_do,
    guests_private_names_stay,
    imports_can_be_read,
    imports_stand_at_the_top,
    libraries_stay,
    no_circles,
    private_names_stay,
    the_core_knows_no_python,
)
from support.import_graph import PACKAGE, SourceTree

ROOT = Path(colonnade.__file__).parent
TESTS = Path(__file__).parent


@cache
def package() -> SourceTree:
    return SourceTree(ROOT)


@cache
def violations_of(rule) -> list[str]:
    return rule(package())


@pytest.fixture
def sources() -> SourceTree:
    if not (ROOT.parent / "core").exists():
        pytest.skip("installed without its sources")
    return package()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule, sources):
    assert rule(sources) == [], rule.__doc__


# Each rule fails: one bad line (or file) in a copy of the package, and what must be found then.

BROKEN = [
    # rule, file, line that is added, what a violation then contains
    (no_circles, "_put.py", "from colonnade import sizes", None),
    (no_circles, "sizes.py", "from colonnade.storage.paths import Entry", "circle of parts"),
    (no_circles, "storage/folders.py", "def f():\n    from colonnade.storage.publish import x", "circle of files"),
    (no_circles, "storage/paths.py", "if TYPE_CHECKING:\n    from colonnade.storage.catalog import Catalog", "circle"),
    (no_circles, "storage/paths.py", "from . import catalog", "circle in storage"),
    (no_circles, "format/write/column.py", "from colonnade.format.write import table", "circle in format.write"),
    (no_circles, "storage/paths.py", "LATER = 'colonnade.storage.catalog'", "circle in storage"),
    (arrows_point_down, "rules.py", "from colonnade import store", "rules imports store"),
    (
        arrows_point_down,
        "core/jobs.py",
        "def f():\n    import colonnade.storage.paths",
        "core.jobs imports storage.paths",
    ),
    (
        arrows_point_down,
        "io/load.py",
        "if TYPE_CHECKING:\n    from ..snapshot import Snapshot",
        "io.load imports snapshot",
    ),
    (arrows_point_down, "storage/paths.py", "from colonnade import Store", "storage.paths imports __init__"),
    (arrows_point_down, "errors.py", "importlib.import_module('colonnade.display')", "errors imports display.__init__"),
    (
        arrows_point_down,
        "errors.py",
        "lazy.attach(__name__, submod_attrs={'display.html': ['draw']})",
        "errors imports display.html",
    ),
    (arrows_point_down, "unheard_of.py", '"""A new part."""', "'unheard_of' has no place in ORDER"),
    (private_names_stay, "snapshot.py", "from colonnade.storage.paths import _x", "imports colonnade.storage.paths._x"),
    (private_names_stay, "storage/gc.py", "def f():\n    paths._secret()", "storage.gc uses paths._secret"),
    (private_names_stay, "store.py", "def f(snapshot):\n    return snapshot._hidden", "store uses snapshot._hidden"),
    (
        private_names_stay,
        "_verbs/writing.py",
        "_x = 1\ndef f(s: Snapshot):\n    return s._x",
        "_verbs.writing uses s._x",
    ),
    (private_names_stay, "store.py", "def f(frame):\n    return frame._mgr", "store uses frame._mgr"),
    (guests_private_names_stay, "format/dtypes.py", "import pandas.core.arrays", "imports pandas.core.arrays"),
    (guests_private_names_stay, "format/dtypes.py", "from pandas._libs import lib", "imports pandas._libs.lib"),
    (guests_private_names_stay, "interop/pandas.py", "import pyarrow as pa\npa.lib.x", "uses pyarrow.lib.x"),
    (guests_private_names_stay, "rules.py", "import pyarrow as pa\npa.lib.ensure_type", "uses pyarrow.lib.ensure_type"),
    (libraries_stay, "store.py", "def f():\n    import rich.console", "store imports rich"),
    (libraries_stay, "display/html.py", "from typer import echo", "display.html imports typer"),
    (libraries_stay, "snapshot.py", "def f():\n    import polars as pl", "snapshot imports polars"),
    (
        imports_stand_at_the_top,
        "storage/gc.py",
        "def f():\n    from colonnade.storage import check",
        "storage.gc imports colonnade.storage.check inside a function",
    ),
    (imports_can_be_read, "storage/gc.py", "importlib.import_module(f'{x}.y')", "storage.gc calls"),
    (files_say_what_they_do, "storage/riddle.py", "x = 1", "storage.riddle has no docstring"),
    (files_say_what_they_do, "storage/gc.py", "from colonnade.gone import x", "storage.gc imports missing"),
    (exceptions_carry_reasons, "rules.py", "import os  # noqa: F401", "rules: import os"),
    (exceptions_carry_reasons, "rules.py", "x: int = ''  # type: ignore[assignment]", "rules: x: int"),
    (exceptions_carry_reasons, "rules.py", "try:\n    pass\nexcept Exception:\n    pass", "rules: except Exception"),
    (the_core_knows_no_python, "../core/plan.h", "#include <Python.h>", "core/plan.h includes Python.h"),
    (the_core_knows_no_python, "../core/execute.cpp", '#include "nanobind/nanobind.h"', "core/execute.cpp includes"),
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A copy of the package and of its core that tests may break, one file at a time."""
    folder = tmp_path_factory.mktemp("broken") / "src"
    shutil.copytree(ROOT.parent, folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return folder / PACKAGE


@pytest.mark.parametrize(
    ("rule", "file", "line", "expected"), BROKEN, ids=[f"{rule.__name__}-{file}" for rule, file, *_ in BROKEN]
)
def test_a_broken_package_is_noticed(rule, file, line, expected, sources, copied):
    path = copied / file
    text = path.read_text() if path.exists() else None
    path.write_text(f"{text or ''}\n{line}\n")
    try:
        new = set(rule(SourceTree(copied))) - set(violations_of(rule))
    finally:
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    if expected is None:
        assert not new  # importing an equal or lower part is not a violation
    else:
        assert any(expected in each for each in new), new


def test_the_drawing_has_every_part_in_this_order(sources):
    page = sources.root.parent.parent / "docs" / "architecture.md"
    if not page.exists():
        pytest.skip("installed without its pages")
    drawing = page.read_text().partition("```text\n")[2].partition("```")[0]
    floors = [line.strip().partition("  ")[0].split(" · ") for line in drawing.splitlines()]
    assert [part for floor in reversed(floors) for part in sorted(floor, key=ORDER.index)] == ORDER


def test_no_test_imports_from_another_test_file():
    """What several tests need stands in ``tests/support``."""
    imports = [
        f"{path.name}: {line}"
        for path in sorted(TESTS.rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.match(r"\s*(from [\w.]*\btest_\w+ import|import [\w.]*\btest_)", line) and path.stem not in line
    ]
    assert imports == []


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _, _, expected in BROKEN if expected} == set(RULES)


# What is loaded when


def loaded_by(statement: str, modules: str) -> list[str]:
    program = f"import sys; {statement}; print(*[m for m in {modules.split()!r} if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_import_loads_no_frame_library():
    """A worker that opens tables must not wait at its start for what it may not use."""
    names = "colonnade.get, colonnade.open, colonnade.Store"
    assert loaded_by(f"import colonnade; {names}", "pandas polars duckdb typer rich") == []
