"""One guest library per file."""
