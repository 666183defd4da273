"""Lanes: which there are, how much waits in each, whether one is paused."""
