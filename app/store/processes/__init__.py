"""Which processes are alive, and which installation this is."""
