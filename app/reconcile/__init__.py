"""Asking CI and believing its answer: what makes silence, doubt, forgery and lost answers harmless."""

from app.reconcile.asking import Place, ask, ask_place, by_place, cancel, pause, restore, take_in, why_not
from app.reconcile.lost import Search, search

__all__ = [
    "Place",
    "Search",
    "ask",
    "ask_place",
    "by_place",
    "cancel",
    "pause",
    "restore",
    "search",
    "take_in",
    "why_not",
]
