"""The relay: ``python -m workers.relay`` turns events into runs, asks CI, and removes what is old."""
