"""The look-ups of a job's outputs in COS."""
