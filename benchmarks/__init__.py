"""Benchmarks: information, not a gate. `share` runs them; README.md says what the figures mean."""
