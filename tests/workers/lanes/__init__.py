"""Lanes: no handler delays those of another lane."""
