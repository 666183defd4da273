"""Metrics for Prometheus: the counters of each process, the figures in Redis for all of them, and their page."""
