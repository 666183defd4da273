"""Accepting what CI reports: one script compares it with what is known of its jobs, and stores it."""
