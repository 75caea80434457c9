"""Counts of work, compared with a committed baseline, whatever else runs: ``python -m benchmarks.gates``."""
