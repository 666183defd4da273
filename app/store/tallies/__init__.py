"""Counters for those who watch, which outlive every process."""
