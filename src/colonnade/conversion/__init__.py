"""Arrow data in memory to pandas, and back. The public functions are in `to_pandas`, `from_pandas` and `explain`."""
