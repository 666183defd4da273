"""Endpoints: how many deliveries wait for each, and how it has answered."""
