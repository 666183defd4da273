"""RQ as the transport of runs: see README.md."""
