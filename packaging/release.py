"""Make a release: ``python packaging/release.py 0.2.0``.

It sets the version in ``src/colonnade/__init__.py`` and in the recipe for conda, turns the changelog's "Unreleased"
into the version and its date, commits all of it, and tags the commit. Nothing is pushed: look at it, then
``git push --follow-tags``.

Does not depend on: anything but git.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The files that have the version, and what stands before it.
PLACES = {
    ROOT / "src/colonnade/__init__.py": r'^(__version__ = )".*"',
    ROOT / "packaging/conda/recipe.yaml": r'^(  version: )"[\d.abrc]+"',
}
VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")


def git(*words: str) -> str:
    """Run git here; gives what it prints."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def released(changelog: str, version: str, day: str) -> str:
    """The changelog with what was unreleased under a version, and a new empty section above it."""
    head, heading, rest = changelog.partition("## [Unreleased]\n")
    if not heading or not rest.partition("\n## ")[0].strip():
        raise ValueError("the changelog has nothing under '## [Unreleased]'")
    return f"{head}{heading}\n## [{version}] - {day}\n{rest}"


def with_version(file: Path, pattern: str, version: str) -> str:
    """The text of a file with another version in the one place that has it."""
    text, count = re.subn(pattern, rf'\g<1>"{version}"', file.read_text(), flags=re.MULTILINE)
    if count != 1:
        sys.exit(f"{file} has {count} lines with a version instead of one")
    return text


def main() -> None:
    """Write, commit and tag."""
    if len(sys.argv) != 2 or not VERSION.fullmatch(sys.argv[1]):
        sys.exit("usage: python packaging/release.py MAJOR.MINOR.PATCH")
    version = sys.argv[1]
    if git("status", "--porcelain", "--untracked-files=no"):
        sys.exit("there are changes that are not committed: commit or stash them first")
    if git("tag", "--list", f"v{version}"):
        sys.exit(f"the tag v{version} is there already")
    texts = {file: with_version(file, pattern, version) for file, pattern in PLACES.items()}
    changelog = ROOT / "CHANGELOG.md"
    texts[changelog] = released(changelog.read_text(), version, f"{datetime.now(UTC):%Y-%m-%d}")
    for file, text in texts.items():
        file.write_text(text)
    git("commit", "--quiet", "-m", f"Release {version}", *map(str, texts))
    git("tag", "--annotate", f"v{version}", "-m", f"Version {version}")
    print(git("log", "--oneline", "--decorate", "-1"))


if __name__ == "__main__":
    main()
