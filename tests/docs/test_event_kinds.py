"""The page of event kinds shows the events that a service makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.core.event_kinds import TROUBLES
from docs.event_kinds import DETAILS, FILE, KINDS, WHEN, make_events
from docs.examples import running
from harness.servers import Emulator, Valkey


def shape(body: dict[str, Any]) -> dict[str, Any]:
    """The members of a delivery, down to those of the job and of the details."""
    data = body["data"]
    inner = {name: sorted(data[name]) for name in ("job", "details") if data.get(name)}
    return {"event": sorted(body), "data": sorted(data), "type": body["type"].split(".")[:2], **inner}


def test_each_kind_of_event_has_an_example_that_a_service_makes_now(
    valkey: Valkey, emulator: Emulator, tmp_path: Path
) -> None:
    """Page and service have the same kinds, each with the same members."""
    with running(valkey, emulator, tmp_path) as service:
        made = make_events(service)
    shown = json.loads(FILE.read_text())
    assert {kind: shape(each) for kind, each in made.items()} == {
        kind: shape(each) for kind, each in shown.items()
    }
    assert set(made) == set(KINDS) == set(WHEN)


def test_the_page_names_each_member_of_the_details() -> None:
    """For each kind about trouble the page names exactly the members in the example; other kinds have no details."""
    shown = json.loads(FILE.read_text())
    assert DETAILS.keys() == TROUBLES
    assert {kind: set(shown[kind]["data"]["details"]) for kind in TROUBLES} == {
        kind: set(members) for kind, members in DETAILS.items()
    }
    assert all(shown[kind]["data"].get("details") is None for kind in set(KINDS) - TROUBLES)
