"""Jobs and what they produce."""
