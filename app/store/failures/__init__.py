"""Runs that are out of tries."""
