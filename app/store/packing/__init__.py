"""How values are compressed."""
