"""What waits where, and how much: lanes, endpoints, counts."""
