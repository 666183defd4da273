"""When each run is due."""
