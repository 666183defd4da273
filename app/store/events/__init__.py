"""The outbox, replays, and those who listen."""
