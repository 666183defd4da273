"""Lanes, endpoints, counts, and the audit list."""
