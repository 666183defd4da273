"""What acts on events: handlers and lanes."""
