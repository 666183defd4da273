"""What ``flask doctor`` and each start look at. It imports nothing: relay and workers need only ``preflight``."""
