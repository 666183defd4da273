"""When each run is looked at again."""
