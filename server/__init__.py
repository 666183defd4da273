"""How gunicorn serves the application. Not in ``app``: gunicorn's master imports this, and must import nothing of that,
or its workers would go on with old code after a reload."""
