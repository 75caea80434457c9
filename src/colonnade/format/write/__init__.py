"""Columns into a snapshot file."""
