"""What CI sends: a body is parsed into reports."""
