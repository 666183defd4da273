"""Finding jobs by the beginning of what they are known by."""
