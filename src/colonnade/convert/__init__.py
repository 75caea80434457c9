"""Between columns and bytes: which column becomes which job, and which bytes become which column."""
