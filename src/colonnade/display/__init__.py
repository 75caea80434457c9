"""What people see of an object: reprs, HTML for notebooks, Rich."""
