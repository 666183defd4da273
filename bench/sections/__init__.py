"""One part of the table each: ``measure`` starts its own servers and returns rows."""
