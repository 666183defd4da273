"""``flask submit``."""
