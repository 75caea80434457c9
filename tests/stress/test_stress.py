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
    done = run("kills", "--seconds", 5, "--seed", 1, "--writers", 3, "--readers", 3, "--size", "512m")
    assert done.returncode == 0, done.stdout + done.stderr
    kills, puts, reads = (
        int(re.search(words, done.stdout)[1].replace(",", ""))
        for words in (r"([\d,]+) kills", r"puts ([\d,]+)", r"reads ([\d,]+)")
    )
    # A tenth of what an idle machine does.
    assert kills > 50
    assert puts > 10
    assert reads > 3


def test_a_torn_page_ends_the_run_and_leaves_evidence():
    done = run("kills", "--seconds", 60, "--seed", 2, "--writers", 1, "--readers", 4, "--tear", "--size", "512m")
    evidence = Path(re.search(r"what the workers wrote: (.*)", done.stdout)[1])
    try:
        assert done.returncode == 1
        assert done.stdout.startswith("FAILED, seed 2, after")
        assert re.search(r"doing: (verify|check|hold|open)", done.stdout)
        assert list(evidence.glob("failure-*.txt"))
        assert (evidence / "store").is_dir()
    finally:
        shutil.rmtree(evidence)


def test_endurance():
    done = run("endure", "--puts", 2000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2,000 puts in" in done.stdout


def test_interrupts():
    done = run("interrupts", "--seconds", 6, "--seed", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    interrupts = int(re.search(r"([\d,]+) interrupts, 0 wrong", done.stdout)[1].replace(",", ""))
    assert interrupts > 50
