"""``flask jobs``."""
