"""Tests that need privileges: run as root, or in a user namespace, or skipped with a reason that is counted.

Two kinds: ``mounts`` (a file system of the test's own) and ``users`` (files and processes of a second user). Where the tests do
not run as root, each test of these kinds runs in a pytest of its own, in a user namespace in which this user is root. A second user
needs subordinate ids (``/etc/subuid`` and the program newuidmap); mounts need none.

Does not depend on: what the tests do.
"""

import functools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

MARK = "privileged"
MOUNTS, USERS = "mounts", "users"
# Fixtures that need privileges themselves.
FIXTURES = {"small": MOUNTS, "open_to_all": USERS}
_ROOT = Path(__file__).parents[2]
_NAMESPACES = {
    MOUNTS: ["unshare", "--user", "--map-root-user", "--mount"],
    USERS: ["unshare", "--user", "--map-root-user", "--map-auto", "--mount"],
}
_TRIALS = {
    MOUNTS: "mount -t tmpfs -o size=1m none /mnt",
    USERS: "mount -t tmpfs -o size=1m none /mnt && touch /mnt/file && chown 65534:12345 /mnt/file",
}
_REMEDIES = {
    MOUNTS: "allow user namespaces (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces), or run as root",
    USERS: "install newuidmap (Debian: uidmap) and give this user a range in /etc/subuid and /etc/subgid, or run as root",
}


def needed(item):
    """Which privileges a test needs: one of the two kinds, or None."""
    mark = item.get_closest_marker(MARK)
    if mark is not None:
        return mark.args[0]
    return next((kind for fixture, kind in FIXTURES.items() if fixture in item.fixturenames), None)


@functools.cache
def why_not(kind):
    """Why a kind of privilege is not to be had in a namespace; None if it is."""
    command = [*_NAMESPACES[kind], "sh", "-c", _TRIALS[kind]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError as error:
        return f"unshare cannot be run: {error}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"unshare ended with status {done.returncode}"])[-1]
    return None


def run_in_namespace(item, kind):
    """Run one test in a pytest of its own, in a namespace where it is root; gives its report."""
    began = time.time()
    if (reason := why_not(kind)) is not None:
        return _report(item, kind, "skipped", f"needs root or a user namespace: {reason}", began)
    command = [
        *_NAMESPACES[kind],
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", item.nodeid),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0 and re.search(r"\b1 skipped\b", done.stdout):
        return _report(item, kind, "skipped", done.stdout.strip().splitlines()[-2], began)
    outcome = "passed" if done.returncode == 0 else "failed"
    return _report(item, kind, outcome, f"in a user namespace:\n{done.stdout}{done.stderr}", began)


def _report(item, kind, outcome, text, began):
    file, line, _ = item.location
    details = {"passed": None, "skipped": (file, (line or 0) + 1, f"Skipped: {text}"), "failed": text}[outcome]
    ended = time.time()
    return pytest.TestReport(
        item.nodeid,
        item.location,
        {MARK: kind},
        outcome,
        details,
        "call" if outcome != "skipped" else "setup",
        duration=ended - began,
        start=began,
        stop=ended,
    )


def summary(skipped):
    """Lines about the privileged tests among some reports of skipped tests."""
    counts = {}
    for report in skipped:
        kind = report.keywords.get(MARK)
        if kind in _REMEDIES:
            counts[kind] = counts.get(kind, 0) + 1
    names = {MOUNTS: "tests of full disks and of file systems", USERS: "security tests with a second user"}
    return [
        f"{count} {names[kind]} were skipped: {why_not(kind) or 'see their reasons above'}. To run them, {_REMEDIES[kind]}."
        for kind, count in counts.items()
    ]
