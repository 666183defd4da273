"""What CI sends: a body becomes a report."""
