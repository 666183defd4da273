"""The pages of events show what a service makes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from app.core.event_kinds import TROUBLES
from app.redis.scripts import text_map
from docs.event_kinds import DETAILS, FILE, KINDS, WHEN, make_events
from docs.examples import running
from harness.servers import ROOT, Emulator, Service, Valkey


def shape(body: dict[str, Any]) -> dict[str, Any]:
    """The members of a delivery, down to those of the job and of the details."""
    data = body["data"]
    inner = {name: sorted(data[name]) for name in ("job", "details") if data.get(name)}
    return {"event": sorted(body), "data": sorted(data), "type": body["type"].split(".")[:2], **inner}


def streamed(service: Service) -> dict[str, set[str]]:
    """The fields that the entries of the stream have, by kind: those that each of that kind has."""
    db, found = service.services.store.db, dict[str, set[str]]()
    rows: Any = db.client.xrange(db.key("events"))
    for _, entry in rows:
        fields = text_map(entry)
        found[fields["kind"]] = found.get(fields["kind"], set(fields)) & set(fields)
    return found


def documented() -> set[str]:
    """The fields of an entry of the stream that streams.md promises for every kind."""
    _, _, text = (ROOT / "docs" / "streams.md").read_text().partition("\n| field | what |\n| --- | --- |\n")
    table, _, _ = text.partition("\n\n")
    rows = [row for row in table.splitlines() if " only" not in row]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_each_kind_of_event_has_an_example_that_a_service_makes_now(
    valkey: Valkey, emulator: Emulator, tmp_path: Path
) -> None:
    """Page and service have the same kinds, each with the same members; and each entry of the stream has every field
    that the page of streams promises for all kinds."""
    with running(valkey, emulator, tmp_path) as service:
        db = service.services.store.db
        # Nothing leaves the stream before each group has acknowledged it.
        db.client.xgroup_create(db.key("events"), "mine", id="0", mkstream=True)
        made = make_events(service)
        fields = streamed(service)
    assert "labels" in documented()
    assert {kind: documented() - fields[kind] for kind in KINDS} == {kind: set() for kind in KINDS}
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
