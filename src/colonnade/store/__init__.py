"""Files: names, versions, segments. No file here knows what a column is."""
