"""Compare counts of work with the baseline: ``python -m benchmarks.gates``, or ``make gates``. More than 10 % fails.

Instructions of the core's operations (callgrind, one thread, portable kernels), and of put, open, get and to_pandas:
system calls, page faults, allocations, function calls, and bytes that are moved. Time is not measured, so a busy
machine gives the same counts. ``--accept`` writes the baseline anew; the commit says why it changed.

What depends on another library or compiler is compared only where these have the versions of the baseline, and shown
where they do not.

Does not depend on: how a count is taken (`benchmarks.gates.process`, ``core.cpp``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.gates.process import KINDS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "gates"
BASELINE = HERE / "baseline.json"
TOLERANCE = 0.10
# This many more are always allowed, because 10 % of a small count is less than one. Pages depend on what is free.
SLACK = {"page faults": 16, "allocations": 8, "function calls": 8, "bytes": 1024}
# What each kind depends on besides this project.
DEPENDS = {
    "instructions": ["compiler", "machine"],
    "system calls": ["machine", "kernel", "groups"],
    "page faults": ["machine", "kernel"],
    "allocations": ["machine", "groups", "python", "pandas", "pyarrow"],
    "function calls": ["groups", "python", "pandas", "pyarrow"],
    "bytes": ["groups"],
}
Counts = dict[str, dict[str, int]]


def versions() -> dict[str, str]:
    """What counts depend on."""
    import pandas as pd
    import pyarrow as pa

    compiler = subprocess.run(
        [os.environ.get("CXX", "g++"), "-dumpfullversion"], capture_output=True, text=True, check=True
    )
    return {
        "machine": platform.machine(),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "groups": _control_groups(),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "pandas": pd.__version__,
        "pyarrow": pa.__version__,
        "compiler": compiler.stdout.split(".")[0].strip(),
    }


def _control_groups() -> str:
    """How deep this process is in the memory's control groups: a put reads the limits of each that it can see."""
    groups = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return ", ".join(
        f"{controllers or 'version 2'} {len(Path(path).parts)}"
        for _, controllers, path in groups
        if not controllers or "memory" in controllers.split(",")
    )


def instructions() -> dict[str, int]:
    """Instructions of the core's operations, by callgrind."""
    libraries = sorted(ROOT.glob("build/*/libcolonnade_core.a"), key=lambda path: path.stat().st_mtime)
    if not libraries:
        raise SystemExit("the core has not been built yet: make .venv/.ready")
    program, output = BUILD / "core", BUILD / "callgrind.out"
    command = [os.environ.get("CXX", "g++"), "-std=c++20", "-O2", f"-I{ROOT / 'src/core'}", "-pthread", "-Wno-psabi"]
    subprocess.run([*command, "-o", str(program), str(HERE / "core.cpp"), str(libraries[-1])], check=True)
    names = subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()
    counts = {}
    for name in names:
        valgrind = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured"]
        subprocess.run(
            [*valgrind, f"--callgrind-out-file={output}", str(program), name], check=True, stderr=subprocess.DEVNULL
        )
        match = re.search(r"^totals: (\d+)$", output.read_text(), re.MULTILINE)
        assert match, f"callgrind counted nothing of {name}"
        counts[name] = int(match[1])
    return counts


def of_process(kind: str) -> dict[str, int]:
    """Counts of one kind, from a process of its own."""
    environment = os.environ | {"PYTHONHASHSEED": "0", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    if kind == "allocations":
        counter = BUILD / "count_allocations.so"
        command = [
            os.environ.get("CC", "gcc"),
            "-shared",
            "-fPIC",
            "-O2",
            "-o",
            str(counter),
            str(HERE / "count_allocations.c"),
        ]
        subprocess.run(command, check=True)
        environment |= {"LD_PRELOAD": str(counter), "PYTHONMALLOC": "malloc"}
    command = [sys.executable, "-m", "benchmarks.gates.process", kind]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if process.returncode:
        raise SystemExit(f"{kind} could not be counted:\n{process.stderr}")
    counts: dict[str, int] = json.loads(process.stdout)
    return counts


def allowed(kind: str, count: int) -> int:
    """The most that passes, for a count of the baseline."""
    return max(int(count * (1 + TOLERANCE)), count + SLACK.get(kind, 0))


def compare(counts: Counts, now: dict[str, str], baseline: dict[str, Counts | dict[str, str]]) -> list[str]:
    """Print every count beside the baseline's; give a line for each that is too high."""
    failures = []
    then: dict[str, str] = baseline["versions"]  # type: ignore[assignment]
    expected: Counts = baseline["counts"]  # type: ignore[assignment]
    for kind, names in counts.items():
        others = [f"{key} {then[key]}, here {now[key]}" for key in DEPENDS[kind] if then[key] != now[key]]
        print(f"\n{kind}" + (f" (not compared: the baseline is of {'; '.join(others)})" if others else ""))
        for name, count in names.items():
            before = expected.get(kind, {}).get(name)
            verdict = "new" if before is None else "" if before == 0 else f"{count / before - 1:+.1%}"
            if before is not None and not others and count > allowed(kind, before):
                verdict += "  TOO MUCH"
                failures.append(f"{kind} of {name}: {count:,}, and {before:,} in the baseline")
            print(f"  {name:<20} {count:>14,} {verdict}")
    return failures


def main() -> None:
    """Count, and compare or accept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept", action="store_true", help="write the baseline anew")
    parser.add_argument("--kinds", nargs="+", choices=list(DEPENDS), default=list(DEPENDS))
    options = parser.parse_args()
    BUILD.mkdir(parents=True, exist_ok=True)
    if "instructions" in options.kinds and not shutil.which("valgrind"):
        raise SystemExit("valgrind is not installed: apt-get install valgrind")
    counts: Counts = {}
    for kind in options.kinds:
        counts[kind] = instructions() if kind == "instructions" else of_process(kind)
    assert set(DEPENDS) == {"instructions", *KINDS}
    libraries = versions()
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"versions": libraries, "counts": {}}
    failures = compare(counts, libraries, baseline)
    if options.accept:
        BASELINE.write_text(json.dumps({"versions": libraries, "counts": baseline["counts"] | counts}, indent=1) + "\n")
    elif failures:
        raise SystemExit("\nMore than 10 % above the baseline:\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
