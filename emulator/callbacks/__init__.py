"""Callbacks about jobs that have ended."""
