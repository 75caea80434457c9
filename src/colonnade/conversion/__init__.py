"""Arrow to pandas and back, in memory."""
