"""The pages agree with the code: names, errors, variables, links. What their blocks do is run by sybil (conftest.py)."""

import inspect
import re
from pathlib import Path

import pytest

import colonnade as cn
from colonnade import errors

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("*/*.md")])

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="installed without its pages")


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_every_error_has_its_way_out():
    page = (DOCS / "errors.md").read_text()
    names = [name for name, each in vars(errors).items() if inspect.isclass(each) and each is not errors.ColonnadeError]
    assert [name for name in names if f"## {name}\n" not in page] == []


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [each for each in targets if each and "://" not in each and not (page.parent / each).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page):
    """A path in backticks that begins like one of ours: ``storage/paths.py``, ``tests/crash``, ``src/core/plan.h``."""
    package, missing = ROOT / "src" / "colonnade", []
    folders = "|".join(
        ["tests", "src", "examples", "benchmarks", "docs", *(p.name for p in package.iterdir() if p.is_dir())]
    )
    missing += [
        path
        for path in re.findall(rf"`((?:{folders})/[\w./-]*\w)`", page.read_text())
        if not (ROOT / path).exists() and not (package / path).exists()
    ]
    assert missing == []
