"""The page of every kind of event, from the types and from events that a service made.

``python -m docs.event_kinds`` makes them and writes ``docs/event-kinds.json``. A test makes them again and compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, get_args

from app.core.event_kinds import TROUBLES
from app.documents.jobs import StreamedEvent
from app.store import Event
from app.store.accept.news import Source
from docs.examples import SUBMISSION, contradict, fail_delivery, running_alone
from harness.emulated import Emulated
from harness.servers import Service, eventually
from workers.forward.message import message

FILE = Path(__file__).with_name("event-kinds.json")

KINDS: Final = (*get_args(Source), "check", "replay", *sorted(TROUBLES))
"""Every kind, news first."""

WHEN: Final = {
    "submit": "CI's answer to a submission named a job",
    "callback": "a callback had news about a job",
    "poll": "CI was asked, and its answer had news about a job",
    "settle": "a person settled a doubt that CI cannot",
    "check": "the outputs of a job were looked up in COS; no handler runs, and nothing is delivered",
    "replay": "a person repeated the latest news about a job; `replay_of` is the event that had it",
    "overdue": "a submitted job has not ended by its deadline",
    "submission_failed": "CI refused a submission, or its jobs were not found for `SEARCH_FOR`; there is no job",
    "run_failed": "a handler or a delivery is out of tries",
    "doubt": "two sources contradict each other about a job",
}

DETAILS: Final = {
    "overdue": {"deadline": "the deadline that has passed", "submission": "id of the job's submission"},
    "submission_failed": {
        "submission": "its id",
        "error": "what went wrong, in a line",
        "ci": "CI's words, where it answered: `code`, `message`, `request_id`, and our `advice`",
        "labels": "its labels",
    },
    "run_failed": {
        "event_id": "the event that it ran for",
        "handler": "name of the handler; `forward` or `chat` for a delivery",
        "endpoint": "name of the endpoint; null for a handler",
        "tries": "how many there were",
        "error": "what the last one ended with, in a line",
    },
    "doubt": {
        "reason": "what contradicts what is known, in a word",
        "since": "when it was first seen",
        "reported": "what was reported: `state`, `code`, `ended_at`",
    },
}
"""The members of ``details``, by kind."""

_PAGE = """# Kinds of events

Made of the types by `make docs`, and of events of a real service by `python -m docs.event_kinds`. [Events about
trouble](events.md) says who gets which, [forwarding](forwarding.md) how they are signed and retried, and
[streams](streams.md) how to listen.

| where | members |
| --- | --- |
| `data` of `event: job` of `GET /v1/events` | {streamed} |
| `data` of a delivery | {delivered} |
| a delivery itself (CloudEvents 1.0) | {envelope} |

`details` and `count` are there for the kinds about trouble only. `job` is the [record](record.md) at the event, without
`raw` and presigned links, or null where there is none. In the examples below it is cut to three members. A member
`replayof` names in a delivery the event that a replay repeats.
"""


def event_kinds_page() -> str:
    """``docs/event-kinds.md``."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    every = found.values()
    envelope = {name: None for each in every for name in each if name != "replayof"}
    data = {name: None for each in every for name in each["data"]}
    head = _PAGE.format(
        streamed=_names(StreamedEvent.model_fields), delivered=_names(data), envelope=_names(envelope)
    )
    return head + "".join(_section(kind, found[kind]) for kind in KINDS)


def _names(members: Any) -> str:
    return ", ".join(f"`{name}`" for name in members)


def _section(kind: str, body: dict[str, Any]) -> str:
    rows = "".join(f"| `{name}` | {what} |\n" for name, what in DETAILS.get(kind, {}).items())
    table = f"\n| `details` has | what |\n| --- | --- |\n{rows}" if rows else ""
    asked = f"Handlers and endpoints with `on={kind}` get it." if kind in TROUBLES else ""
    job = body["data"]["job"]
    cut = job and {name: job[name] for name in ("job_id", "state", "tag")}
    example = json.dumps(body | {"data": body["data"] | {"job": cut}}, indent=1, ensure_ascii=False)
    first = f"{WHEN[kind][0].upper()}{WHEN[kind][1:]}. {asked}".rstrip()
    return f"\n## {kind}\n\n{first}\n{table}\n```json\n{example}\n```\n"


def make_events(service: Service) -> dict[str, Any]:
    """The delivery of one event of each kind, by kind: each has really happened here."""
    ci = Emulated(str(service.settings.ci_endpoint), service.settings.cos_bucket)
    job_id = _submit(service)["job_id"]
    _wait(service, "check")
    service.call("POST", f"/v1/jobs/{job_id}/replay").raise_for_status()
    ci.fault("lose", times=1)
    polled = _submit(service)["job_id"]
    eventually(lambda: _terminal_when_asked(service, polled), "CI's answer about the job")
    contradict(service, "jdoubted")
    service.call("POST", "/v1/jobs/jdoubted/settle", json={"as": "reported"}).raise_for_status()
    ci.fault(
        "error", on="submit", code="InvalidArgument", status=400, message="The codec is unknown.", times=1
    )
    _submit(service)
    ci.fault("stuck", times=1)
    _submit(service, deadline=1)
    fail_delivery(service, "jgone")
    _wait(service, *KINDS)
    return _made(service)


def _submit(service: Service, **changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = service.call("POST", "/v1/jobs", json=SUBMISSION | changes).json()
    return answer


def _terminal_when_asked(service: Service, job_id: str) -> bool:
    """Its callback is lost: only CI's answer says that it has ended."""
    return bool(service.call("POST", f"/v1/jobs/{job_id}/refresh").json().get("terminal"))


def _events(service: Service) -> dict[str, Event]:
    """The newest event of each kind."""
    return {each.event.kind: each.event for each in service.services.store.outbox.after("0-0", 1000)}


def _wait(service: Service, *kinds: str) -> None:
    eventually(
        lambda: set(kinds) <= _events(service).keys(),
        lambda: f"events: {sorted(set(kinds) - _events(service).keys())} missing",
    )


def _made(service: Service) -> dict[str, Any]:
    store = service.services.store
    bodies = {
        kind: message(event, store.jobs.of_event(event), service.settings)[0]
        for kind, event in _events(service).items()
    }
    return {kind: json.loads(bodies[kind]) for kind in sorted(bodies)}


def main() -> None:
    with running_alone() as service:
        FILE.write_text(json.dumps(make_events(service), indent=1) + "\n")


if __name__ == "__main__":
    main()
