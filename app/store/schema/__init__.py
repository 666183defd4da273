"""The version of what is stored, and migrations."""
