"""Telling that a job has ended."""
