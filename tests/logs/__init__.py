"""What the logs of all processes say together."""
