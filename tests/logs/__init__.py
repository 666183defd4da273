"""The logs and traces of all processes together."""
