"""What people see: reprs, HTML, Rich."""
