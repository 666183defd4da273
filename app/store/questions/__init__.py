"""Which jobs CI will be asked about, and how often."""
