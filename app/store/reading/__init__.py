"""How jobs are read: what is stored of them, and what was shown of that."""
