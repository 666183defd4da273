"""Callbacks that were turned away although their token was good."""
