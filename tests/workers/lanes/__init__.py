"""Lanes: no handler holds up those of another lane."""
