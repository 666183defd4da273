"""What we asked CI for, and idempotency."""
