"""Read the real imports of the package from its source files.

Every import counts: at the top of a file, inside a function, under ``TYPE_CHECKING``, by a string that is given to
``importlib``, and the public names that ``__init__`` loads lazily (a table of strings).

Does not depend on: the package itself. It reads text, so a broken copy of the tree can be read as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

PACKAGE = "colonnade"


@dataclass(frozen=True)
class Import:
    """One import statement: the module, the name taken from it, and where the statement stands."""

    module: str
    name: str | None
    line: int
    in_function: bool = False
    for_types: bool = False


@dataclass
class SourceFile:
    """One Python file of the package. `module` is its name below the package; ``__init__`` is the package's own."""

    path: Path
    module: str
    text: str
    tree: ast.Module = field(repr=False)

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self.tree, self.package))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def strings(self) -> list[tuple[str, int]]:
        """Every string and its line, docstrings left out."""
        docstrings = {node.value for node in self.nodes if isinstance(node, ast.Expr)}
        return [
            (node.value, node.lineno)
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
        ]

    @property
    def package(self) -> str:
        """The dotted name that a relative import starts from."""
        dotted = self.module.replace(".__init__", "") if self.module != "__init__" else ""
        folder = dotted if self.path.name.startswith("__init__") else dotted.rpartition(".")[0]
        return f"{PACKAGE}.{folder}".rstrip(".")


class SourceTree:
    """All Python files below a folder, and who imports whom."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, SourceFile] = {}
        for path in sorted(root.rglob("*.py")):
            text = path.read_text()
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            self.files[module] = _parsed(path, module, text)

    def find(self, dotted: str) -> str | None:
        """The file that a dotted name leads to, if it is a module of the package: ``colonnade.io`` -> ``io.__init__``."""
        if dotted == PACKAGE:
            return "__init__"
        if not dotted.startswith(PACKAGE + "."):
            return None
        name = dotted.removeprefix(PACKAGE + ".")
        if name == "_core":
            return "_core"
        return next((each for each in (name, name + ".__init__") if each in self.files), None)

    def targets(self, file: SourceFile) -> Iterator[tuple[str, int]]:
        """The files that a file imports, with the line of the import."""
        for each in file.imports:
            if each.module != PACKAGE and not each.module.startswith(PACKAGE + "."):
                continue
            target = self.find(f"{each.module}.{each.name}") if each.name else None
            target = target or self.find(each.module)
            yield target or f"missing {each.module}", each.line
        yield from self._strings(file)

    @cached_property
    def edges(self) -> dict[str, set[str]]:
        """For every file the files that it imports."""
        return {
            module: {target for target, _ in self.targets(file)} - {module, "_core"}
            for module, file in self.files.items()
        }

    def _strings(self, file: SourceFile) -> Iterator[tuple[str, int]]:
        """Modules that a file names in strings: ``"colonnade.display"`` anywhere, and the tables of lazy_loader."""
        for text, line in file.strings:
            if text.startswith(PACKAGE + ".") and (target := self.find(text)):
                yield target, line
        for node in file.nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "attach":
                for constant in (each for part in [*node.args, *node.keywords] for each in ast.walk(part)):
                    if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                        target = self.find(f"{file.package}.{constant.value}")
                        if target:
                            yield target, constant.lineno


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one node (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in sorted(edges.get(node, ())):
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            start = stack.index(node)
            component, stack[start:] = stack[start:], []
            if len(component) > 1:
                components.append(sorted(component))

    for node in sorted(edges):
        if node not in order:
            visit(node)
    return sorted(components)


def grouped(edges: dict[str, set[str]], folder: str = "") -> dict[str, set[str]]:
    """The edges between the direct children of a folder: files, and whole folders taken as one node."""
    prefix = folder + "." if folder else ""

    def child(module: str) -> str | None:
        return module.removeprefix(prefix).partition(".")[0] if module.startswith(prefix) else None

    result: dict[str, set[str]] = {}
    for module, targets in edges.items():
        mine = child(module)
        if mine is not None:
            others = {child(target) for target in targets} - {mine, None}
            result.setdefault(mine, set()).update(each for each in others if each is not None)
    return result


def folders(modules: Iterable[str]) -> list[str]:
    """Every folder that has Python files below it; the package itself is ``""``."""
    result = {""}
    for module in modules:
        parts = module.split(".")[:-1]
        result.update(".".join(parts[: i + 1]) for i in range(len(parts)))
    return sorted(result)


@cache
def _parsed(path: Path, module: str, text: str) -> SourceFile:
    return SourceFile(path, module, text, ast.parse(text))


def _imports(tree: ast.Module, package: str) -> Iterator[Import]:
    def walk(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            in_function = True
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, None, node.lineno, in_function, for_types)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package.split(".")
                base = base[: len(base) - node.level + 1]
                module = ".".join([*base, module]) if module else ".".join(base)
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, in_function, for_types)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from walk(child, in_function, True)
            for child in node.orelse:
                yield from walk(child, in_function, for_types)
        else:
            for child in ast.iter_child_nodes(node):
                yield from walk(child, in_function, for_types)

    yield from walk(tree, False, False)
