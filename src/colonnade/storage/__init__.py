"""Files, names and versions."""
