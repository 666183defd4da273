"""Which processes are there, and which installation this is."""
