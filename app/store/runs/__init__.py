"""Runs of handlers, and their tries."""
