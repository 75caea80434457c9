"""Tables that are passed between processes by reference."""
