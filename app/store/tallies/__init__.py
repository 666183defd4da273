"""Counters for metrics that outlive every process."""
