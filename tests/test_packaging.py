"""What a release does to a clone, what an index shows of the front page, and what a build says on another system."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import colonnade as cn

ROOT = Path(__file__).parent.parent
RECIPE = "packaging/conda/recipe.yaml"

pytestmark = pytest.mark.skipif(not (ROOT / "packaging").exists(), reason="installed without its sources")


def git(folder, *words):
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *author, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def clone(tmp_path):
    """A repository with the files that a release changes."""
    for name in ("packaging/release.py", RECIPE, "src/colonnade/__init__.py", "CHANGELOG.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changelog = tmp_path / "CHANGELOG.md"  # right after a release there is nothing that is not released
    changelog.write_text(
        changelog.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n### Added\n- Something.\n", 1)
    )
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.name", "A")
    git(tmp_path, "config", "user.email", "a@example.org")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


def release(folder, version):
    command = [sys.executable, "packaging/release.py", version]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_release_is_version_changelog_and_tag(clone):
    result = release(clone, "7.8.9")
    assert result.returncode == 0, result.stderr
    assert '__version__ = "7.8.9"' in (clone / "src/colonnade/__init__.py").read_text()
    assert '\n  version: "7.8.9"\n' in (clone / RECIPE).read_text()
    assert re.search(
        r"## \[Unreleased\]\n\n## \[7\.8\.9\] - 20\d\d-\d\d-\d\d\n+### Added", (clone / "CHANGELOG.md").read_text()
    )
    assert git(clone, "tag", "--points-at", "HEAD") == "v7.8.9\n"
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize("version", ["7.8", "v7.8.9", "seven"])
def test_a_release_refuses_other_versions(clone, version):
    assert "usage" in release(clone, version).stderr
    assert git(clone, "tag") == ""


def test_a_release_refuses_a_changed_clone(clone):
    (clone / "CHANGELOG.md").write_text("changed")
    assert "not committed" in release(clone, "7.8.9").stderr


def test_a_release_is_made_once(clone):
    assert release(clone, "7.8.9").returncode == 0
    assert "is there already" in release(clone, "7.8.9").stderr


def test_an_index_shows_pictures_and_links_of_the_front_page():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]["hooks"]
    text = (ROOT / "README.md").read_text()
    for rule in settings["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert targets
    assert [target for target in targets if not target.startswith("https://")] == []


def test_the_version_has_one_place():
    assert re.findall(r'__version__ = "(.*)"', (ROOT / "src/colonnade/__init__.py").read_text()) == [cn.__version__]


def test_wheels_are_tested_with_the_same_tools_everywhere():
    """conftest.py imports one of them, so that a tool that is missing fails each wheel."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    program = (ROOT / "packaging/wheel_test.py").read_text()
    tools = re.search(r"^TEST_TOOLS = (\[.*\])$", program, re.MULTILINE)[1]
    extras = re.search(r"\{wheel\}\[([\w,]+)\]", program)[1]
    assert settings["test-requires"] == ast.literal_eval(tools)
    assert settings["test-extras"] == extras.split(",")


def test_the_recipe_for_conda_says_what_the_package_says():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = pyproject["project"]
    recipe = YAML(typ="safe").load(ROOT / RECIPE)

    def as_conda(requirements):
        return {text.replace("lazy_loader", "lazy-loader").replace(">= ", ">=") for text in requirements}

    needs = recipe["requirements"]
    assert set(needs["run"]) == {"python", *as_conda(project["dependencies"])}
    assert set(needs["host"]) == {"python", "pip", *as_conda(pyproject["build-system"]["requires"])}
    extras = project["optional-dependencies"]
    optional = {*extras["cli"], *extras["ui"], *extras["polars"], *extras["duckdb"]}
    assert set(needs["run_constraints"]) == {text.replace("duckdb", "python-duckdb") for text in as_conda(optional)}
    assert recipe["context"]["version"] == cn.__version__
    about = recipe["about"]
    assert (about["license"], about["license_file"]) == (project["license"], project["license-files"])


@pytest.mark.skipif(shutil.which("cmake") is None, reason="CMake is not installed")
def test_a_build_says_at_once_that_it_is_for_linux(tmp_path):
    command = ["cmake", "-DSKBUILD_PROJECT_NAME=colonnade", "-DCMAKE_SYSTEM_NAME=Darwin", ROOT]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode
    assert "Linux only" in process.stderr


def test_licences_of_code_that_is_not_ours_are_shipped():
    """Each folder of ``src/vendor`` has its licence, and the metadata names it."""
    folders = [path for path in (ROOT / "src/vendor").iterdir() if path.is_dir()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert folders
    assert {f"src/vendor/{path.name}/LICENSE" for path in folders} < set(project["license-files"])
    assert all((ROOT / name).is_file() for name in project["license-files"])


def test_the_first_pages_name_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    start, front = (ROOT / "docs/start.md").read_text(), (ROOT / "README.md").read_text()
    install = next(line for line in front.splitlines() if line.startswith("pip install colonnade "))
    assert set(re.findall(r"`colonnade\[(\w+)\]`", start)) == set(project["optional-dependencies"])
    assert set(re.findall(r"\[(\w+)\]", install)) == set(project["optional-dependencies"])
