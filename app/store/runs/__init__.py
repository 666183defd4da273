"""Runs and their tries."""
