"""Tests that need privileges: run as root, or in a user namespace, or skipped with a reason that is counted.

A test is marked ``privileged`` with what it needs: ``mounts`` (a file system of its own), ``users`` (files and processes
of a second user), ``networks`` (hosts with a network of their own) or ``disks`` (a loop device). If the tests do not run as root, each such test runs in a pytest of its
own, in a user namespace where this user is root. A second user needs subordinate ids there (``/etc/subuid`` and the
program newuidmap). Loop devices are not to be had in a namespace.

Does not depend on: what the tests do.
"""

import collections
import functools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

MARK = "privileged"
MOUNTS, USERS, NETWORKS, DISKS = "mounts", "users", "networks", "disks"
# Fixtures whose tests need privileges without saying so themselves.
FIXTURES = {"small": MOUNTS, "open_to_all": USERS, "small_disk": DISKS}
_ROOT = Path(__file__).parents[2]
_NAMESPACES = {
    MOUNTS: ["unshare", "--user", "--map-root-user", "--mount"],
    USERS: ["unshare", "--user", "--map-root-user", "--map-auto", "--mount"],
    NETWORKS: ["unshare", "--user", "--map-root-user", "--mount", "--net", "--uts"],
}
_TRIALS = {
    MOUNTS: "mount -t tmpfs -o size=1m none /mnt",
    USERS: "mount -t tmpfs -o size=1m none /mnt && touch /mnt/file && chown 65534:12345 /mnt/file",
    NETWORKS: "command -v ip nsenter > /dev/null || { echo ip and nsenter are not here >&2; false; }; unshare --net sh -ec "
    "'ip link add sw0 type bridge; ip link add v0 type veth peer name v1; tc qdisc add dev v0 root tbf rate 1mbit burst 9kb latency 9ms'",
    DISKS: "command -v mkfs.ext4 && losetup --find",
}
_REMEDIES = {
    MOUNTS: "allow user namespaces (sysctl user.max_user_namespaces), or run as root",
    USERS: "install newuidmap (Debian: uidmap) and give this user ids in /etc/subuid and /etc/subgid, or run as root",
    NETWORKS: "install iproute2 and util-linux, and run as root on a kernel with veth, bridge and tbf",
    DISKS: "run as root with e2fsprogs on a machine with loop devices",
}


def needed(item):
    """Which privileges a test needs; None if it needs none."""
    mark = item.get_closest_marker(MARK)
    if mark is not None:
        return mark.args[0]
    return next((kind for fixture, kind in FIXTURES.items() if fixture in item.fixturenames), None)


@functools.cache
def why_not_here(kind):
    """Why this process does not have the privileges of a kind; None if it has them."""
    if os.geteuid() != 0:
        return f"user {os.geteuid()} is not root"
    return _error_of(["unshare", "--mount", "sh", "-c", _TRIALS[kind]])


@functools.cache
def why_not_in_a_namespace(kind):
    """Why a user namespace cannot give the privileges of a kind; None if it can."""
    if kind not in _NAMESPACES:
        return f"a user namespace has no {kind}"
    return _error_of([*_NAMESPACES[kind], "sh", "-c", _TRIALS[kind]])


def _error_of(command):
    try:
        process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if process.returncode == 0:
        return None
    return (process.stderr.strip().splitlines() or [f"{command[-1]!r} ended with status {process.returncode}"])[-1]


def run_elsewhere(item, kind):
    """Run one test in a namespace where it is root, or skip it; gives its report."""
    began = time.time()
    reason = why_not_here(kind) if os.geteuid() == 0 else why_not_in_a_namespace(kind)
    if reason is not None:
        return _report(item, "skipped", f"{kind}: {reason}; {_REMEDIES[kind]}", began)
    pytest_alone = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", item.nodeid]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [*_NAMESPACES[kind], *pytest_alone]
    process = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        return _report(item, "failed", f"in a user namespace:\n{process.stdout}{process.stderr}", began)
    if skipped := re.search(r"^SKIPPED \[1\] [^ ]+ (.*)$", process.stdout, re.MULTILINE):
        return _report(item, "skipped", skipped[1], began)
    return _report(item, "passed", None, began)


def _report(item, outcome, text, began):
    file, line, _ = item.location
    details = (file, (line or 0) + 1, f"Skipped: {text}") if outcome == "skipped" else text
    when, end = "setup" if outcome == "skipped" else "call", time.time()
    keywords = {MARK: 1}
    return pytest.TestReport(
        item.nodeid, item.location, keywords, outcome, details, when, (), end - began, start=began, stop=end
    )


def summary(skipped):
    """A line for each reason that kept privileged tests, among these reports, from running."""
    privileged = [report for report in skipped if MARK in getattr(report, "keywords", ())]
    reasons = collections.Counter(report.longrepr[2].removeprefix("Skipped: ") for report in privileged)
    return [
        f"{count} tests of security, full disks and networks were skipped: {reason}"
        for reason, count in reasons.items()
    ]
