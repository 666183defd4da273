"""Serving the application with gunicorn. Not in ``app``: gunicorn's master imports this, and if it imported ``app``,
its workers would keep old code after a reload."""
