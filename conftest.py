"""Every example in the README, the docs and the docstrings runs."""

import os
import shutil
import subprocess
import sys
import tempfile
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE
from pathlib import Path

from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser
from sybil.parsers.rest import DocTestParser

_FLAGS = ELLIPSIS | NORMALIZE_WHITESPACE


def _run_shell(example):
    """A console block: each line after "$ " must succeed."""
    commands = [line.removeprefix("$ ") for line in example.parsed.splitlines() if line.startswith("$ ")]
    bin_folder = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": bin_folder + os.pathsep + os.environ["PATH"]}
    for command in commands:
        done = subprocess.run(
            ["/bin/bash", "-ec", command], env=env, cwd=_HERE, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"{command!r} failed: {done.stdout}{done.stderr}"
    return None


_HERE = Path(__file__).parent


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
            PythonCodeBlockParser(doctest_optionflags=_FLAGS),
            CodeBlockParser("console", _run_shell),
            SkipParser(),
        ],
        patterns=["README.md", "docs/*.md"],
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
