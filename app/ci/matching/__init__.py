"""Which report answers which request, and what CI can be asked about."""
