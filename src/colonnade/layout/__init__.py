"""How columns stand in a file: places, the Arrow envelope around them, and the checks before a view is made."""
