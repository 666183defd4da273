"""Refusals: refused callbacks whose token was valid."""
