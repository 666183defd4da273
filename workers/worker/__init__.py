"""The worker: ``python -m workers.worker`` runs handlers."""
