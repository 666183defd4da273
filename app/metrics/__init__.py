"""What Prometheus sees: what each process counts, what Redis holds for all of them, and how both are served."""
