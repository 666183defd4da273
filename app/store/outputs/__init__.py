"""What COS says of a job's outputs."""
