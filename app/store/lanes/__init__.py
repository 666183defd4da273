"""Lanes: which ones exist, how many runs wait in each, and which are paused."""
