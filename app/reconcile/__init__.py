"""Asking CI and believing its answer: what makes silence, doubt, forgery and lost answers harmless."""

from app.reconcile.asking import (
    LOOP_PATIENCE_S,
    ask,
    ask_place,
    cancel,
    pause,
    restore,
    take_in,
    take_turn,
)
from app.reconcile.lost import Search, search
from app.reconcile.places import Place, by_place, our_buckets, unasked, unknown_bucket, why_not

__all__ = [
    "LOOP_PATIENCE_S",
    "Place",
    "Search",
    "ask",
    "ask_place",
    "by_place",
    "cancel",
    "our_buckets",
    "pause",
    "restore",
    "search",
    "take_in",
    "take_turn",
    "unasked",
    "unknown_bucket",
    "why_not",
]
