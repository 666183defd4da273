"""Deliveries of events to downstream endpoints."""
