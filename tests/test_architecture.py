"""The drawing of docs/architecture.md as assertions about the real imports, and a proof that each assertion can fail.

A *rule* is a function from a source tree to the list of its violations. The rules run on the package itself and must
find nothing; they also run on copies of the package with one bad line, and must find that line.
"""

import ast
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import colonnade
from support.import_graph import PACKAGE, SourceFile, SourceTree, circles, folders, grouped

ROOT = Path(colonnade.__file__).parent

# The parts, lowest first. A file imports only from earlier parts and from its own.
ORDER = [
    "errors",
    "arguments",
    "log",
    "sizes",
    "lifetimes",
    "suggestions",
    "displayed",
    "dtype_kinds",
    "rules",
    "explanation",
    "core",
    "interop",
    "io",
    "format",
    "conversion",
    "storage",
    "flight",
    "_lookup",
    "_reference",
    "_frame_like",
    "_mappings",
    "_attached",
    "_dtype_backend",
    "snapshot",
    "growing_frames",
    "growing_snapshot",
    "_attach",
    "_names",
    "_argument_key",
    "_cache",
    "_sort",
    "_put",
    "_copy",
    "_load",
    "_allocate",
    "_append_arguments",
    "_append",
    "_watch",
    "_latest",
    "_follow",
    "_share",
    "_fetch",
    "_serve",
    "_verbs",
    "store",
    "default_store",
    "dask",
    "ray",
    "_by_reference",
    "display",
    "ui",
    "__init__",
    "cli",
    "__main__",
]

# Who may import a library (at any time; imports that only type checkers see are free).
LIBRARY_HOMES = {
    "typer": {"cli"},
    "rich": {"display", "cli", "io.progress"},
    "polars": {"interop.polars", "io.engines"},
    "duckdb": {"interop.duckdb", "io.engines"},
    "fsspec": {"io.files"},
    "lazy_loader": {"__init__"},
    "dask": {"dask"},
    "distributed": {"dask"},
    "ray": {"ray"},
    "adbc_driver_manager": {"io.databases"},
    "starlette": {"ui"},
    "uvicorn": {"ui"},
    "IPython": set(),
    "matplotlib": set(),
}

# Private names of other people's libraries, and the one file that may use them.
PRIVATE_HOMES = {"pandas": "interop.pandas", "pyarrow": "interop.pyarrow", "narwhals": "interop.narwhals"}
PRIVATE_MODULES = re.compile(
    r"pandas\.(_|core\b|api\.internals\b)|pyarrow\.(_|lib\b|pandas_compat\b|vendored\b)", re.ASCII
)

# Files that name everything and load it when it is used; one that loads the words of an error (`storage.publish`: 12 ms of
# imports that few writers need); two that load Flight for what leads to other hosts. Elsewhere an import inside a
# function is for an optional library, for the file that stands for one, or for a module of the standard library or of
# PyArrow that few calls need.
LOADS_ON_USE = {
    "__init__",
    "_verbs.base",
    "_verbs.appending",
    "_verbs.writing",
    "_verbs.reading",
    "_verbs.querying",
    "_verbs.following",
    "_verbs.managing",
    "_attached",
    "snapshot",
    "default_store",
    "cli.__init__",
    "cli.arguments",
    "cli.transfer",
    "cli.show",
    "cli.growing",
    "cli.manage",
    "cli.top",
    "storage.publish",
    "_reference",
    "growing_frames",
    "growing_snapshot",
    "_attach",
    "_watch",
    "_latest",
    "_serve",
    # Files that the first `get` of a process waits for; what few tables or only errors need is loaded when it is used.
    "_names",
    "format.json_text",
    "format.read.column",
    "format.read.projection",
    "format.read.table",
    "format.zones",
    "storage.catalog",
    "storage.directory",
}
OPTIONAL_LIBRARIES = {"polars", "duckdb", "rich", "typer", "fsspec", "starlette", "uvicorn"}

# Modules that are imported by a name which is computed, and why.
COMPUTED_IMPORTS = {
    "io.databases": "the driver of a database, chosen by the scheme of its address",
    "_by_reference.pickling": "picklers of libraries that are there already",
}

# Private names of the standard library that have no public form, and the file that uses them.
NO_PUBLIC_FORM = {"_by_reference.pickling": {"_extra_reducers", "_dispatch_table"}}

# Comments that switch a check off, and how they give a reason.
EXCEPTION = re.compile(r"# (noqa|type: ignore)")
REASON = re.compile(r"# noqa: [A-Z0-9, ]+ -- \w|# type: ignore\[[\w, -]+\]  # \w")

# Names with an underscore that their libraries document.
DOCUMENTED = {"_exit", "_replace", "_asdict", "_fields", "_make", "_getframe", "_core", "_repr_html_"}


# The rules


def no_circles(tree: SourceTree) -> list[str]:
    """No circle of files, none of parts, none inside a folder (its files and folders as nodes)."""
    result = [f"circle of files: {' '.join(circle)}" for circle in circles(tree.edges)]
    for folder in folders(tree.files):
        where = f"in {folder}" if folder else "of parts"
        result += [f"circle {where}: {' '.join(circle)}" for circle in circles(grouped(tree.edges, folder))]
    return result


def arrows_point_down(tree: SourceTree) -> list[str]:
    """Each file imports from earlier parts of `ORDER` and from its own part only."""
    result = []
    for module, targets in tree.edges.items():
        part = module.partition(".")[0]
        if part not in ORDER:
            result.append(f"{module}: the part {part!r} has no place in ORDER")
            continue
        for target in sorted(targets):
            other = target.partition(".")[0]
            if other not in ORDER or ORDER.index(other) > ORDER.index(part):
                result.append(f"{module} imports {target}")
    return result


def private_names_stay(tree: SourceTree) -> list[str]:
    """No file uses another file's ``_name``: imported, as a module's attribute, or as another object's attribute."""
    result = []
    for module, file in tree.files.items():
        homes = {f"{each}." for each, home in PRIVATE_HOMES.items() if home == module}
        result += [
            f"{module} imports {each.module}.{each.name}"
            for each in file.imports
            if each.name
            and _private(each.name)
            and not tree.find(f"{each.module}.{each.name}")
            and not any((each.module + ".").startswith(home) for home in homes)
        ]
        if module in PRIVATE_HOMES.values():
            continue  # what they use of their library is private there, and that is what they are for
        own, foreign = _own_names(file), _foreign_objects(file)
        for node in file.nodes:
            if not isinstance(node, ast.Attribute) or not _private(node.attr):
                continue
            if _own_object(node.value):
                continue
            is_foreign = isinstance(node.value, ast.Name) and node.value.id in foreign
            if (is_foreign or node.attr not in own) and node.attr not in NO_PUBLIC_FORM.get(module, ()):
                result.append(f"{module} uses {ast.unparse(node)}")
    return sorted(set(result))


def guests_private_names_stay(tree: SourceTree) -> list[str]:
    """Private names of pandas and PyArrow are used in their own file of ``interop`` alone."""
    result = []
    for module, file in tree.files.items():
        names = {}  # what a local name stands for: pd -> pandas
        for each in file.imports:
            dotted = f"{each.module}.{each.name}" if each.name else each.module
            if PRIVATE_MODULES.match(dotted) and PRIVATE_HOMES[dotted.partition(".")[0]] != module:
                result.append(f"{module} imports {dotted}")
        for node in file.nodes:
            for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
                base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                names[alias.asname or alias.name] = base + alias.name
        for node in file.nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Name, ast.Attribute)):
                head, _, rest = ast.unparse(node).partition(".")
                dotted = f"{names.get(head, head)}.{rest}"
                home = PRIVATE_HOMES.get(dotted.partition(".")[0])
                if home not in (None, module) and PRIVATE_MODULES.match(dotted):
                    result.append(f"{module} uses {dotted}")
    return sorted(set(result))


def libraries_stay(tree: SourceTree) -> list[str]:
    """A library is imported only where `LIBRARY_HOMES` says, inside functions too."""
    result = []
    for module, file in tree.files.items():
        for each in file.imports:
            library = each.module.partition(".")[0]
            homes = LIBRARY_HOMES.get(library)
            at_home = homes is not None and any(f"{module}.".startswith(f"{home}.") for home in homes)
            if homes is not None and not at_home and not each.for_types:
                result.append(f"{module} imports {library}")
    return sorted(set(result))


def imports_stand_at_the_top(tree: SourceTree) -> list[str]:
    """The package's own modules are imported at the top of a file, but for the files in `LOADS_ON_USE`."""
    optional = {
        module
        for module, file in tree.files.items()
        for each in file.imports
        if each.module.partition(".")[0] in OPTIONAL_LIBRARIES and not each.in_function and not each.for_types
    }
    result = []
    for module, file in tree.files.items():
        for each in file.imports:
            if each.in_function and (each.module + ".").startswith(PACKAGE + ".") and module not in LOADS_ON_USE:
                name = f"{each.module}.{each.name}" if each.name else each.module
                if not {tree.find(name), tree.find(each.module)} & optional:
                    result.append(f"{module} imports {name} inside a function")
    return sorted(set(result))


def imports_can_be_read(tree: SourceTree) -> list[str]:
    """No import by a name that only the running program knows, but for those of `COMPUTED_IMPORTS`."""
    result = []
    for module, file in tree.files.items():
        for node in file.nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
                "import_module",
                "__import__",
                "load",
            ):
                by_loader = ast.unparse(node.func) not in ("import_module", "importlib.import_module", "__import__")
                if by_loader and ast.unparse(node.func) not in ("lazy.load", "lazy_loader.load"):
                    continue
                readable = node.args and isinstance(node.args[0], ast.Constant)
                if not readable and module not in COMPUTED_IMPORTS:
                    result.append(f"{module} calls {ast.unparse(node)}")
    return result


def files_say_what_they_do(tree: SourceTree) -> list[str]:
    """Every file opens with a docstring, and none is missing that another one imports."""
    result = [f"{module} has no docstring" for module, file in tree.files.items() if not ast.get_docstring(file.tree)]
    for module, file in tree.files.items():
        result += [f"{module} imports {target}" for target, _ in tree.targets(file) if target.startswith("missing")]
    return result


def exceptions_carry_reasons(tree: SourceTree) -> list[str]:
    """``noqa``, ``type: ignore`` and a broad ``except`` that does not raise have a reason on their line."""
    result = []
    for module, file in tree.files.items():
        lines = file.text.splitlines()
        broad = [
            node.lineno
            for node in file.nodes
            if isinstance(node, ast.ExceptHandler)
            and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
            and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
        ]
        result += [f"{module}: {lines[at - 1].strip()}" for at in broad if "  # " not in lines[at - 1]]
        result += [f"{module}: {line.strip()}" for line in lines if EXCEPTION.search(line) and not REASON.search(line)]
    return result


def the_core_knows_no_python(tree: SourceTree) -> list[str]:
    """Only the bindings, ``module.cpp`` and ``bind*``, include Python or nanobind."""
    core = tree.root.parent / "core"
    return [
        f"core/{path.name} includes {header}"
        for path in sorted(core.iterdir())
        if path.name != "module.cpp" and not path.name.startswith("bind")
        for header in ("Python.h", "nanobind/", "numpy/", "bindings.h")
        if re.search(rf'#\s*include\s*[<"]{re.escape(header)}', path.read_text())
    ]


def _private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name != "_" and name not in DOCUMENTED


def _own_object(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _own_names(file: SourceFile) -> set[str]:
    """Every private name that a file itself defines: attributes of its classes, methods, functions, slots."""
    result = set()
    for node in file.nodes:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            result.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            result.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _own_object(node.value):
            result.add(node.attr)
    return result


def _foreign_objects(file: SourceFile) -> set[str]:
    """Local names that stand for what another file made: imported modules, and arguments of imported classes."""
    imported = set()
    for node in file.nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    result = set(imported)
    for node in file.nodes:
        if isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name) and node.annotation.id in imported:
            result.add(node.arg)
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Name)
            and node.value.func.id in imported
            and node.value.func.id[:1].isupper()
        ):
            result |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return result


RULES = [
    no_circles,
    arrows_point_down,
    private_names_stay,
    guests_private_names_stay,
    libraries_stay,
    imports_stand_at_the_top,
    imports_can_be_read,
    files_say_what_they_do,
    exceptions_carry_reasons,
    the_core_knows_no_python,
]


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
        assert not new  # importing an equal or lower part is no violation
    else:
        assert any(expected in each for each in new), new


def test_the_drawing_has_every_part_in_this_order(sources):
    page = sources.root.parent.parent / "docs" / "architecture.md"
    if not page.exists():
        pytest.skip("installed without its pages")
    drawing = page.read_text().partition("```text\n")[2].partition("```")[0]
    floors = [line.strip().partition("  ")[0].split(" · ") for line in drawing.splitlines()]
    assert [part for floor in reversed(floors) for part in sorted(floor, key=ORDER.index)] == ORDER


def test_every_rule_is_shown_to_fail():
    assert {rule for rule, _, _, expected in BROKEN if expected} == set(RULES)


def test_a_lazy_name_in_a_stub_is_an_import(tmp_path):
    """What ``lazy_loader.attach_stub`` reads counts as an import of ``__init__``."""
    (tmp_path / "__init__.py").write_text('"""Doc."""\nlazy.attach_stub(__name__, __file__)\n')
    (tmp_path / "__init__.pyi").write_text("from .store import Store as Store\nfrom colonnade.errors import E as E\n")
    for name in ("store", "errors"):
        (tmp_path / f"{name}.py").write_text('"""Doc."""\n')
    assert SourceTree(tmp_path).edges["__init__"] == {"store", "errors"}


# What is loaded when


def loaded_by(statement: str, modules: str) -> list[str]:
    program = f"import sys; {statement}; print(*[m for m in {modules.split()!r} if m in sys.modules])"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_import_loads_no_frame_library():
    assert loaded_by("import colonnade", "pandas polars duckdb typer rich") == []


def test_public_names_load_no_frame_library():
    """The names that most programs use: a worker that only opens tables must not wait for pandas at its start."""
    assert (
        loaded_by("import colonnade; colonnade.get, colonnade.open, colonnade.Store", "polars duckdb typer rich") == []
    )
