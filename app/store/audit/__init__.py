"""The audit list: who did what."""
