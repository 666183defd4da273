"""Access to Redis and Valkey: connection, Sentinel, scripts, durability, rights. It knows none of our data."""
