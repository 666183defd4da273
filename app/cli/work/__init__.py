"""Handlers and lanes."""
