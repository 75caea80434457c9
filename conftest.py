"""Every example in the README, the docs and the docstrings runs."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from importlib.util import find_spec
from pathlib import Path

from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

_FLAGS = ELLIPSIS | NORMALIZE_WHITESPACE


def _run_shell(example):
    """A block of Bash: each line must succeed. Blocks that are only shown are "sh" or "text"."""
    bin_folder = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": bin_folder + os.pathsep + os.environ["PATH"]}
    for command in example.parsed.splitlines():
        done = subprocess.run(
            ["/bin/bash", "-ec", command], env=env, cwd=_HERE, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"{command!r} failed: {done.stdout}{done.stderr}"
    return None


def _run_script(example):
    """A block with a ``__main__`` part: pasted into a file of its own, it must run as a program."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "script.py"
        script.write_text(example.parsed)
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"the script failed: {done.stdout}{done.stderr}"
    promised = re.findall(r"^ *print\(.*\)  # (.*)$", example.parsed, re.MULTILINE)
    missing = [line for line in promised if line not in done.stdout.splitlines()]
    return f"{missing} is not in what the script prints: {done.stdout}" if missing else None


def _run_and_compare(evaluate, expected):
    """Evaluate a block and compare what it prints, where the page shows that."""

    def run(example):
        printed = io.StringIO()
        with redirect_stdout(printed):
            failure = evaluate(example)
        if failure or OutputChecker().check_output(expected, printed.getvalue(), _FLAGS):
            return failure
        return f"the page shows:\n{expected}\nthe block printed:\n{printed.getvalue()}"

    return run


class _Blocks(PythonCodeBlockParser):
    """Python blocks of a page follow each other in one namespace, but for scripts, which run by themselves.

    A text block right after one that is no script is what it prints.
    """

    def __call__(self, document):
        for region in super().__call__(document):
            output = re.match(r"(?:\n?```)?\s*```text\n(.*?)```", document.text[region.end :], re.DOTALL)
            if "__main__" in str(region.parsed):
                region.evaluator = _run_script
            elif output:
                region.evaluator = _run_and_compare(region.evaluator or self.evaluate, output[1])
            yield region


_HERE = Path(__file__).parent


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="the tests of `make check`: see tests/support/quick_lane.py")


# Modules of extras, whose examples run where the library is installed.
_EXTRAS = {"dask": ["src/colonnade/dask/*"], "ray": ["src/colonnade/ray/*"]}
collect_ignore_glob = [file for library, files in _EXTRAS.items() if find_spec(library) is None for file in files]


def _setup(namespace):
    namespace["__folder__"] = folder = tempfile.mkdtemp(prefix="colonnade-docs-", dir="/dev/shm")
    namespace["__store_before__"] = os.environ.get("COLONNADE_STORE")
    os.environ["COLONNADE_STORE"] = folder


def _teardown(namespace):
    shutil.rmtree(namespace["__folder__"])
    if namespace["__store_before__"] is None:
        del os.environ["COLONNADE_STORE"]
    else:
        os.environ["COLONNADE_STORE"] = namespace["__store_before__"]


pytest_collect_file = (
    Sybil(
        parsers=[
            _Blocks(doctest_optionflags=_FLAGS),
            CodeBlockParser("bash", _run_shell),
            SkipParser(),
        ],
        patterns=["README.md", "docs/*.md", "docs/*/*.md"],
        setup=_setup,
        teardown=_teardown,
    )
    + Sybil(
        parsers=[DocTestParser(optionflags=_FLAGS)],
        patterns=["src/colonnade/*.py", "src/colonnade/*/*.py", "src/colonnade/*/*/*.py"],  # "**" is "*" here
        document_types={".py": PythonDocStringDocument},
        setup=_setup,
        teardown=_teardown,
    )
).pytest()
