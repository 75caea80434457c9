"""The pages agree with the code: names, errors, variables, links. What their blocks do is run by sybil (conftest.py)."""

import ast
import builtins
import codeop
import inspect
import os
import re
from pathlib import Path

import pytest

import colonnade as cn
from colonnade import errors

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("*/*.md")])
OTHER_PAGES = sorted({*ROOT.glob("*.md"), ROOT / "benchmarks" / "README.md"} - {*PAGES})
FOLDERS = "tests|src|examples|benchmarks|docs|packaging|" + "|".join(
    path.name for path in (ROOT / "src" / "colonnade").iterdir() if path.is_dir()
)
# Names that stand for a file of the reader's, or for any file of a kind.
EXAMPLES = {"_verb.py", "src/colonnade/_verb.py", "tests/api/test_verb.py", "colonnade/put.py", "shop.py"}

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="installed without its pages")


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_every_error_has_its_way_out():
    page = (DOCS / "errors.md").read_text()
    names = [name for name, each in vars(errors).items() if inspect.isclass(each) and each is not errors.ColonnadeError]
    assert [name for name in names if page.count(f"## {name}\n") != 1] == []


def test_errors_say_which_built_in_catches_them():
    page = (DOCS / "errors.md").read_text()
    for name, base in re.findall(r"^## (\w+)\n\nAlso an? `(\w+)`", page, re.MULTILINE):
        assert base in [each.__name__ for each in getattr(errors, name).__bases__], name
    alone = set(re.findall(r"^## (\w+Error)\n\n(?!Also)", page, re.MULTILINE))
    assert alone == {"ConflictError"}


def test_every_built_in_error_that_is_raised_has_its_way_out():
    page = (DOCS / "errors.md").read_text()
    raised = {
        node.exc.func.id
        for path in (ROOT / "src" / "colonnade").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    kinds = {name for name in raised if inspect.isclass(each := getattr(builtins, name, None)) and each is not OSError}
    # A fault of this library, or caught inside of it.
    inside = {"AssertionError", "AttributeError", "BlockingIOError", "NotImplementedError", "PermissionError"}
    inside |= {"KeyboardInterrupt", "StopAsyncIteration", "StopIteration"}
    assert [name for name in sorted(kinds - inside) if f"`{name}`" not in page] == []


def test_every_public_name_has_an_api_page():
    page = (DOCS / "api" / "index.md").read_text().split()
    names = [name for name in cn.__all__ if not name.startswith("_") and not hasattr(errors, name)]
    assert [name for name in names if name not in page] == []


def test_every_environment_variable_is_in_the_table():
    page = (DOCS / "deploying.md").read_text()
    names = {
        name for path in (ROOT / "src").rglob("*.py") for name in re.findall(r"COLONNADE_[A-Z_]+", path.read_text())
    }
    assert [name for name in sorted(names) if f"| `{name}` |" not in page] == []


def without_code(page):
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def anchors(page):
    """What links may have after the ``#``: the headings, as GitHub and the site write them."""
    headings = re.findall(r"^#+ (.*)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if "://" not in target and (not file.exists() or (anchor and anchor not in anchors(file))):
            missing.append(target)
    assert missing == []


@pytest.fixture(scope="module")
def ours():
    """The ends of all paths of the repository: ``plan.h``, ``core/plan.h`` and ``src/core/plan.h`` name one file."""
    left_out = {".git", ".venv", ".venv-docs", "build", "node_modules"}
    ends = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in left_out]
        for name in [*folders, *files]:
            parts = Path(folder, name).relative_to(ROOT).parts
            ends |= {"/".join(parts[start:]) for start in range(len(parts))}
    return ends


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page, ours):
    """Files in backticks (``storage/paths.py``, ``tests/crash``, ``plan.h``), and targets of make."""
    text = page.read_text()
    files = re.findall(rf"`((?:{FOLDERS})/[\w./-]*\w|[\w./-]*\w\.(?:py|cpp|h|toml|yml|pml|md))`", text)
    assert [name for name in files if name not in ours and name not in EXAMPLES] == []
    targets = re.findall(r"^([\w. -]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called_targets = re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, re.MULTILINE)
    assert sorted(set(called_targets) - {name for line in targets for name in line.split()}) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_can_be_pasted_into_python(page):
    """Line by line, as the prompt of Python 3.12 and older takes them: a blank line ends a block, and nothing else does."""
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        if "__main__" in block:  # a script
            continue
        compiler, lines = codeop.CommandCompiler(), []
        for line in [*block.splitlines(), ""]:
            lines.append(line)
            try:
                if compiler("\n".join(lines)) is not None:
                    lines = []
            except SyntaxError as error:
                pytest.fail(f"{page.name}, before or at {line!r}: {error}")
        assert lines in ([], [""]), page.name
