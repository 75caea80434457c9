"""The rules of the package's parts, each a function from a source tree to the list of its violations.

`ORDER` and the tables below it are the drawing of docs/architecture.md. The test runs the rules on the package, and on broken copies.
"""

import ast
import re

from support.import_graph import PACKAGE, SourceFile, SourceTree, circles, folders, grouped

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
    "recent",
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
    "growing_facts",
    "growing_frames",
    "growing_snapshot",
    "growing_versions",
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
    "_append_segments",
    "_append",
    "_waits",
    "_watch",
    "_latest",
    "_follow",
    "_share",
    "_rows_so_far",
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

# Files that import parts of the package inside functions, and what these load. `import colonnade` loads what opens a
# table, because every process does that (tests/api/test_first_get.py has the list); the rest is loaded when it is used.
# Elsewhere an import inside a function is for an optional library, for the file that stands for one, or for a module
# of the standard library or of PyArrow that few calls need.
LOADS_ON_USE = {
    "__init__": "what draws summaries: it knows all the classes that are drawn",
    "_attach": "growing tables",
    "_attached": "what makes frames, because it imports pandas; look-ups by key",
    "_latest": "growing tables",
    "_names": "growing tables",
    "_reference": "Flight, for tables of other hosts",
    "_serve": "Flight",
    "_verbs.appending": "the verbs of growing tables",
    "_verbs.base": "the writer",
    "_verbs.following": "watching, and the cache of results",
    "_verbs.managing": "garbage collection, checks, usage, the writer",
    "_verbs.querying": "DuckDB",
    "_verbs.reading": "Flight, and files of other formats",
    "_verbs.writing": "the writer, and files of other formats",
    "_watch": "growing tables",
    "cli.__init__": "the commands: Typer and Rich may not be there",
    "cli.growing": "the reader of lines",
    "cli.manage": "the page, and the view of `top`",
    "cli.show": "DuckDB",
    "cli.transfer": "files of other formats",
    "format.read.column": "Python objects",
    "format.read.table": "arrays, and the check of all values",
    "format.zones": "what calls PyArrow's private names, which loads its conversion to pandas: time zones other than UTC",
    "growing_snapshot": "conversions to other dtypes",
    "snapshot": "what makes frames and arrays, because it imports pandas; conversions to other dtypes; Polars",
    "storage.catalog": "the words of an error",
    "storage.directory": "the words of an error",
    "storage.publish": "the words of an error: 12 ms of imports that few writers need",
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
    loading = {
        module
        for module, file in tree.files.items()
        if any(each.in_function and (each.module + ".").startswith(PACKAGE + ".") for each in file.imports)
    }
    result += [
        f"{module} imports nothing inside a function: LOADS_ON_USE needs it no more"
        for module in LOADS_ON_USE.keys() - loading
    ]
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
