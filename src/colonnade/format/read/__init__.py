"""A snapshot file into columns."""
