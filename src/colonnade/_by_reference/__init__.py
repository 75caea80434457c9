"""Tables that travel between processes as references."""
