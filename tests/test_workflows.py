"""The workflows of GitHub: each is one that GitHub accepts, and what it calls exists."""

import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

HERE = Path(__file__).parents[1]
FILES = sorted((HERE / ".github/workflows").glob("*.yml"))

pytestmark = pytest.mark.skipif(not FILES, reason="a source distribution has no workflows")

MATRIX_VALUE = re.compile(r"\$\{\{\s*matrix\.(\w+)\s*\}\}")


def load(path: Path) -> dict:
    return YAML(typ="safe").load(path)


def targets_of(makefile: str) -> set[str]:
    """The targets that a Makefile can make, by their full names."""
    lines = re.findall(r"^([^\t#=:][^=:]*):(?!=)", makefile, re.MULTILINE)
    names = {name for line in lines for name in line.split()} - {".PHONY"}
    return names | {name.replace("$(VENV)", ".venv") for name in names} | {".venv/.ready"}


def commands_of(job: dict) -> list[list[str]]:
    """The words of each command of a job; a command with a value of the matrix counts once for each value."""
    commands = []
    for step in job["steps"]:
        for line in re.split(r"\n|&&|;", step.get("run", "")):
            names = MATRIX_VALUE.findall(line)
            matrix = job.get("strategy", {}).get("matrix", {})
            values = matrix[names[0]] if names else [""]
            commands += [shlex.split(MATRIX_VALUE.sub(str(value), line), comments=True) for value in values]
    return [words for words in commands if words]


def what_is_missing(workflow: dict, folder: Path) -> list[str]:
    """What a workflow calls and what is not there: targets of make, files, other jobs, versions of actions."""
    makefile = folder / "Makefile"
    targets = targets_of(makefile.read_text())
    missing = []
    for name, job in workflow["jobs"].items():
        needs = job.get("needs", [])
        missing += [
            f"job {each}" for each in ([needs] if isinstance(needs, str) else needs) if each not in workflow["jobs"]
        ]
        missing += [f"{name}: a limit of time" for limit in [job.get("timeout-minutes", 1)] if not 0 < limit <= 360]
        for step in job["steps"]:
            if "uses" in step and not re.fullmatch(r"[\w.-]+/[\w./-]+@[\w./-]+", step["uses"]):
                missing.append(f"a version of {step['uses']}")
        for words in commands_of(job):
            if words[0] == "make":
                missing += [f"make {word}" for word in words[1:] if "=" not in word and word not in targets]
            elif words[0].startswith((".venv/bin/", ".ci/", "tests/", "packaging/")) or "pytest" in words:
                files = [
                    word
                    for word in words
                    if re.fullmatch(r"(\.ci|tests|packaging|docs|src|examples|benchmarks)(/.*)?", word)
                ]
                missing += [word for word in files if not (folder / word.partition("::")[0]).exists()]
    return missing


def unpinned(text: str) -> list[str]:
    """The actions that are not named by the hash of a commit with its tag beside it."""
    uses = re.findall(r"uses: *(\S+)(.*)", text)
    return [
        name
        for name, tag in uses
        if not (re.search(r"@[0-9a-f]{40}$", name) and re.fullmatch(r" # v\d+\.\d+\.\d+", tag))
    ]


def test_actions_are_named_by_the_hash_of_a_commit():
    # cibuildwheel is named by its tag.
    assert {name for path in FILES for name in unpinned(path.read_text())} <= {"pypa/cibuildwheel@v3.1"}
    sha = "0" * 40
    assert unpinned(f"uses: a/b@{sha} # v1.2.3\nuses: a/c@v4\nuses: a/d@{sha}\n") == ["a/c@v4", f"a/d@{sha}"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_workflow_calls_exists(path):
    assert what_is_missing(load(path), HERE) == []


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ({"steps": [{"run": "make no-such-target"}]}, "make no-such-target"),
        ({"steps": [{"run": "set -e\nmake lint && make nothing"}]}, "make nothing"),
        ({"strategy": {"matrix": {"t": ["lint", "gone"]}}, "steps": [{"run": "make ${{ matrix.t }}"}]}, "make gone"),
        ({"steps": [{"run": ".venv/bin/python -m pytest tests/gone"}]}, "tests/gone"),
        ({"steps": [{"run": ".ci/gone"}]}, ".ci/gone"),
        ({"needs": "gone", "steps": []}, "job gone"),
        ({"steps": [{"uses": "actions/checkout"}]}, "a version of actions/checkout"),
        ({"timeout-minutes": 0, "steps": []}, "job: a limit of time"),
    ],
)
def test_what_is_missing_is_found(job, expected):
    assert what_is_missing({"jobs": {"job": job}}, HERE) == [expected]


def test_the_tested_versions_of_python_are_those_of_the_wheels():
    tested = load(HERE / ".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    built = re.search(r"^build = \[(.*)\]", (HERE / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert [f"cp{version.replace('.', '')}-*" for version in tested] == re.findall(r'"(.*?)"', built)
