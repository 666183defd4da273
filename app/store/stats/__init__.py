"""Counts over all jobs, read from the indexes: nothing is counted when a callback is stored."""
