"""Tables that are stored: their plan on the way in, their second reading on the way out."""
