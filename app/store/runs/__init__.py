"""Handlers' runs, their tries, and failures."""
