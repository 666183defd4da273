"""A stream ends with its key, although the key is checked when a request begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import pytest
from flask import Flask

from app.api import auth, events
from app.pages.views import live
from app.web.services import WebServices
from tests.pages.signed_in import signed_in
from tests.workers.news import tell

LINES_MAX = 500
"""A stream that sends as many parts after the change goes on: far fewer come between two look-ups."""

Open = Callable[[str], Iterator[bytes]]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked up each 50 ms instead of each 15 s."""
    for module, name in ((auth, "STREAM_CHECK_S"), (events, "COMMENT_S"), (live, "_COMMENT_S")):
        monkeypatch.setattr(module, name, 0.05)
    monkeypatch.setattr(live, "_PAUSE_S", 0.001)


@pytest.fixture(params=["api", "page"])
def stream(request: pytest.FixtureRequest, app: Flask) -> Iterator[Open]:
    """Opens the stream of the API or of a page with a key."""
    opened = []

    def start(key: str) -> Iterator[bytes]:
        if request.param == "api":
            headers = {"Authorization": f"Bearer {key}"}
            answer = app.test_client().get("/v1/events", headers=headers, buffered=False)
        else:
            answer = signed_in(app, key).get("/live", buffered=False)
        assert answer.status_code == 200
        opened.append(answer)
        return iter(answer.response)  # type: ignore[arg-type]

    yield start
    for each in opened:
        each.close()


def _ends(parts: Iterator[bytes]) -> bool:
    return sum(1 for _ in islice(parts, LINES_MAX)) < LINES_MAX


def _parts_while_events_come(parts: Iterator[bytes], services: WebServices) -> Iterator[bytes]:
    for part in parts:
        tell(services)
        yield part


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_stream_ends_when_its_key_is_revoked(stream: Open, services: WebServices, is_busy: bool) -> None:
    """Also while events flow; until then it goes on."""
    keys = services.store.api_keys
    parts = stream(keys.create("leaked", frozenset({"read"})))
    if is_busy:
        parts = _parts_while_events_come(parts, services)
    assert len(list(islice(parts, 20))) == 20
    assert keys.revoke("leaked")
    assert _ends(parts)


def test_a_stream_ends_when_its_key_may_no_longer_read(stream: Open, services: WebServices) -> None:
    """The same key, made again with another scope."""
    keys = services.store.api_keys
    key = keys.create("changed", frozenset({"read"}))
    parts = stream(key)
    next(parts)
    keys.create("changed", frozenset({"submit"}), key, replace=True)
    assert _ends(parts)
