"""Endpoints: what waits for them and how they answer."""
