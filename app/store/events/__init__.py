"""The outbox, replays, and the listeners of the event stream."""
