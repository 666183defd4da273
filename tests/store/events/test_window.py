"""The window of the newest events: complete between its ends; it says when it does not cover a position."""

from __future__ import annotations

from app.store.events.event import Event
from app.store.events.outbox import Posted
from app.store.events.window import Window


def posted(n: int) -> Posted:
    return Posted(f"{n}-0", Event(f"e{n}", "j1", "callback", None, None, 1, "", 1, {}))


def ids(window: Window, position: str) -> list[str] | None:
    found = window.after(position)
    return None if found is None else [each.stream_id for each in found]


def test_it_has_everything_after_a_place_that_it_covers() -> None:
    window = Window(3)
    window.reset("5-0")
    assert ids(window, "5-0") == []
    window.extend([posted(6), posted(7)])
    assert (ids(window, "5-0"), ids(window, "6-0"), ids(window, "7-0")) == (["6-0", "7-0"], ["7-0"], [])
    assert ids(window, "5-9") == ["6-0", "7-0"]


def test_it_does_not_answer_for_what_it_does_not_cover() -> None:
    """Before its first entry, after its newest, or without any."""
    window = Window(3)
    assert ids(window, "1-0") is None
    window.reset("5-0")
    window.extend(posted(n) for n in range(6, 12))
    assert ids(window, "7-0") is None
    assert ids(window, "8-0") == ["9-0", "10-0", "11-0"]
    assert ids(window, "11-1") is None
    window.reset(None)
    assert ids(window, "8-0") is None
