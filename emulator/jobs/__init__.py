"""Jobs and their results."""
