"""Submissions, and idempotency records."""
