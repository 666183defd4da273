"""How jobs are read."""
