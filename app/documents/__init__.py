"""What the API answers, and what commands print with ``--json``: one model for each document, made in one place."""
