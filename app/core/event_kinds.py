"""What an event is about, as ``on=`` of a handler and of an endpoint names it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

NEWS: Final = "news"
"""Every event that is not about trouble: reports of CI about a job, and replays."""
TROUBLES: Final = frozenset({"overdue", "submission_failed", "run_failed", "doubt"})
"""Kinds of events about failures. Only handlers and endpoints with ``on=`` get them."""
SUBJECTS: Final = TROUBLES | {NEWS}


def subject_of(kind: str) -> str:
    """The kind itself for an event about trouble, else ``news``."""
    return kind if kind in TROUBLES else NEWS


def unknown_subjects(words: Iterable[str]) -> list[str]:
    """Each unknown word as a clause for a message, with what may have been meant."""
    return [f"{word!r}, which no event is about{_hint(word)}" for word in sorted(set(words) - SUBJECTS)]


def _hint(word: str) -> str:
    near = get_close_matches(word.lower(), SUBJECTS, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(SUBJECTS))}"
