"""Real servers for tests, chaos and bench to start."""
