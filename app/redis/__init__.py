"""How we speak to Redis and Valkey: connection, Sentinel, scripts, durability, rights. No nouns of ours."""
