"""The checks of ``flask doctor`` and of each start. It imports nothing: relay and workers need only ``preflight``."""
