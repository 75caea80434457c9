"""The stress programs, for seconds; `make stress` runs them for minutes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent


def run(program, *options):
    return subprocess.run(
        [sys.executable, "-m", f"stress.{program}", *map(str, options)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_kills():
    process = run("kills", "--seconds", 5, "--seed", 1, "--writers", 3, "--readers", 3, "--size", "512m")
    assert process.returncode == 0, process.stdout + process.stderr
    kills, puts, reads = (
        int(re.search(words, process.stdout)[1].replace(",", ""))
        for words in (r"([\d,]+) kills", r"puts ([\d,]+)", r"reads ([\d,]+)")
    )
    # A tenth of what an idle machine does.
    assert kills > 50
    assert puts > 10
    assert reads > 3


def test_a_torn_page_ends_the_run_and_leaves_evidence():
    process = run("kills", "--seconds", 60, "--seed", 2, "--writers", 1, "--readers", 4, "--tear", "--size", "512m")
    evidence = Path(re.search(r"what the workers wrote: (.*)", process.stdout)[1])
    try:
        assert process.returncode == 1
        assert process.stdout.startswith("FAILED, seed 2, after")
        assert re.search(r"doing: (verify|check|hold|open)", process.stdout)
        assert list(evidence.glob("failure-*.txt"))
        assert (evidence / "store").is_dir()
    finally:
        shutil.rmtree(evidence)


def test_endurance():
    process = run("endure", "--puts", 2000)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "2,000 puts in" in process.stdout


def test_interrupts():
    process = run("interrupts", "--seconds", 6, "--seed", 1)
    assert process.returncode == 0, process.stdout + process.stderr
    interrupts = int(re.search(r"([\d,]+) interrupts, 0 wrong", process.stdout)[1].replace(",", ""))
    assert interrupts > 50
