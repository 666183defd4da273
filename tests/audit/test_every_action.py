"""Every changing route and command leaves one entry in the audit list: who, what, on what, and the result."""

from __future__ import annotations

from typing import Any

import click
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.cli import PRODUCT_COMMANDS
from app.settings import Settings
from app.store import Store
from harness.emulated import Emulated
from tests.api.answers.described import faults
from tests.audit.conftest import Visitor
from tests.cli.shell import SUBMIT

REQUEST: dict[str, Any] = {
    "tag": "VoiceSeparate",
    "input": {"object": "in/a.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"au_object": "out/a.mp3"},
}
FORM = {
    "input.object": "in/a.mp3", "voice_separate.audio_mode": "IsAudio", "voice_separate.audio_config.codec": "mp3",
    "output.au_object": "out/a.mp3", "send": "yes",
}  # fmt: skip

# The rule, its words (a name in braces is the id of that thing), the body, and the action.
BY_API: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("/v1/jobs", "/v1/jobs", REQUEST, "submit"),
    ("/v1/jobs/<job_id>/refresh", "/v1/jobs/{job}/refresh", None, "jobs.refresh"),
    ("/v1/jobs/<job_id>/cancel", "/v1/jobs/{job}/cancel", None, "jobs.cancel"),
    ("/v1/jobs/<job_id>/replay", "/v1/jobs/{job}/replay", None, "jobs.replay"),
    ("/v1/jobs/<job_id>/settle", "/v1/jobs/{doubted}/settle", {"as": "known"}, "jobs.settle"),
    ("/v1/jobs/refresh", "/v1/jobs/refresh", {"tag": "VoiceSeparate"}, "jobs.refresh"),
    ("/v1/jobs/cancel", "/v1/jobs/cancel", {"label.order": "1"}, "jobs.cancel"),
    ("/v1/jobs/replay", "/v1/jobs/replay", {"all": True}, "jobs.replay"),
    ("/v1/failures/<event_id>/retry", "/v1/failures/{event}/retry", None, "failures.retry"),
    (
        "/v1/failures/<event_id>/dismiss",
        "/v1/failures/{event}/dismiss",
        {"reason": "old"},
        "failures.dismiss",
    ),
    ("/v1/failures/retry", "/v1/failures/retry", {"all": True}, "failures.retry"),
    ("/v1/refusals/<refusal_id>/retry", "/v1/refusals/{refusal}/retry", None, "refusals.retry"),
    (
        "/v1/refusals/<refusal_id>/dismiss",
        "/v1/refusals/{refusal}/dismiss",
        {"reason": "old"},
        "refusals.dismiss",
    ),
    ("/v1/lanes/<name>/pause", "/v1/lanes/default/pause", None, "lanes.pause"),
    ("/v1/lanes/<name>/resume", "/v1/lanes/default/resume", None, "lanes.resume"),
]
BY_PAGE: list[tuple[str, str, dict[str, str], str]] = [
    ("/submit", "/submit", FORM, "submit"),
    ("/jobs/<job_id>/<action>", "/jobs/{job}/refresh", {}, "jobs.refresh"),
    ("/jobs/<job_id>/<action>", "/jobs/{job}/cancel", {}, "jobs.cancel"),
    ("/jobs/<job_id>/<action>", "/jobs/{job}/replay", {}, "jobs.replay"),
    ("/jobs/<job_id>/<action>", "/jobs/{doubted}/settle", {"as": "reported"}, "jobs.settle"),
    ("/jobs/act", "/jobs/act", {"action": "refresh", "job": "{job}", "sure": "yes"}, "jobs.refresh"),
    ("/jobs/act", "/jobs/act", {"action": "cancel", "which": "all", "sure": "yes"}, "jobs.cancel"),
    ("/jobs/act", "/jobs/act", {"action": "replay", "job": "{job}", "sure": "yes"}, "jobs.replay"),
    (
        "/jobs/act",
        "/jobs/act",
        {"action": "replay", "which": "all", "q": "{job}", "sure": "yes"},
        "jobs.replay",
    ),
    ("/failures/act", "/failures/act", {"action": "retry", "which": "all", "sure": "yes"}, "failures.retry"),
    (
        "/failures/act",
        "/failures/act",
        {"action": "dismiss", "which": "all", "sure": "yes", "reason": "old"},
        "failures.dismiss",
    ),
    (
        "/refusals/act",
        "/refusals/act",
        {"action": "retry", "refusal": "{refusal}", "sure": "yes"},
        "refusals.retry",
    ),
    (
        "/refusals/act",
        "/refusals/act",
        {"action": "dismiss", "which": "all", "sure": "yes", "why": "old"},
        "refusals.dismiss",
    ),
    ("/refusals/<refusal_id>/<action>", "/refusals/{refusal}/retry", {}, "refusals.retry"),
    ("/refusals/<refusal_id>/<action>", "/refusals/{refusal}/dismiss", {"reason": "old"}, "refusals.dismiss"),
    ("/lanes/<name>/<action>", "/lanes/default/pause", {}, "lanes.pause"),
    ("/lanes/<name>/<action>", "/lanes/default/resume", {}, "lanes.resume"),
]
NO_ACTS = {
    "/callbacks/<anything:token>": "CI's, and in the history of its jobs",
    "/login": "opens a session, and changes nothing",
    "/logout": "ends it",
}
"""Changing routes that are no action of a person, and why."""

BY_COMMAND: list[tuple[str, str]] = [
    (" ".join(SUBMIT), "submit"),
    ("submit raw {file}", "submit"),
    ("jobs refresh {job}", "jobs.refresh"),
    ("jobs refresh --label order=1 --yes", "jobs.refresh"),
    ("jobs cancel {job}", "jobs.cancel"),
    ("jobs cancel --label order=1 --yes", "jobs.cancel"),
    ("jobs replay {job}", "jobs.replay"),
    ("jobs replay --all --yes --rate 1000", "jobs.replay"),
    ("jobs settle {doubted} --as known", "jobs.settle"),
    ("jobs delete {job} --yes", "jobs.delete"),
    ("jobs import --after 1h", "jobs.import"),
    ("failures retry {event}", "failures.retry"),
    ("failures retry --all --yes", "failures.retry"),
    ("failures dismiss {event} --reason old", "failures.dismiss"),
    ("refusals retry {refusal}", "refusals.retry"),
    ("refusals dismiss {refusal} --reason old", "refusals.dismiss"),
    ("lanes pause default", "lanes.pause"),
    ("lanes resume default", "lanes.resume"),
    ("keys create shop --scope submit", "keys.create"),
    ("keys revoke tests", "keys.revoke"),
    ("callback-url --name console", "callback_url.create"),
    ("callback-url --revoke 0123456789ab", "callback_url.revoke"),
    ("spool retry", "spool.retry"),
    ("spool accept", "spool.accept"),
    ("trigger Snapshot --url {url}", "trigger"),
]
LOOKS = {
    "submit show", "jobs list", "jobs show", "jobs history", "jobs raw", "jobs wait", "jobs export", "failures list",
    "refusals list", "refusals show", "queues list", "keys list", "spool list", "callback-url list", "lanes list",
    "handlers list", "handlers run", "doctor",
}  # fmt: skip
"""Commands that change nothing that is stored."""


@pytest.fixture
def things(request: pytest.FixtureRequest) -> dict[str, str]:
    names = ("job", "event", "refusal", "doubted", "aside")
    return {name: request.getfixturevalue(name) for name in names}


def acts(store: Store) -> list[tuple[str, str, str]]:
    return [(each.by, each.via, each.action) for each in store.audit.page(100)[0]]


@pytest.mark.parametrize(("rule", "path", "body", "action"), BY_API, ids=[each[1] for each in BY_API])
def test_each_action_by_the_api(
    client: FlaskClient,
    store: Store,
    key: dict[str, str],
    things: dict[str, str],
    rule: str,
    path: str,
    body: dict[str, Any] | None,
    action: str,
) -> None:
    """With the key's name and the id of the request."""
    answer = client.post(path.format(**things), json=body, headers=key | {"X-Request-Id": "r-1"})
    assert answer.status_code < 300, answer.text
    assert acts(store) == [("tests", "api", action)]
    (entry,), _ = store.audit.page(1)
    assert entry.request_id == "r-1"
    assert entry.job_ids or entry.on


@pytest.mark.parametrize(
    ("rule", "path", "form", "action"), BY_PAGE, ids=[f"{each[1]} {each[3]}" for each in BY_PAGE]
)
def test_each_action_by_a_page(
    store: Store,
    visitor: Visitor,
    things: dict[str, str],
    rule: str,
    path: str,
    form: dict[str, str],
    action: str,
) -> None:
    """With the name of the key that signed in."""
    visitor.send(path.format(**things), **{name: value.format(**things) for name, value in form.items()})
    assert acts(store) == [("tests", "page", action)]


@pytest.mark.parametrize(("words", "action"), BY_COMMAND, ids=[each[0] for each in BY_COMMAND])
def test_each_action_by_a_command(
    app: Flask,
    store: Store,
    key: dict[str, str],
    things: dict[str, str],
    tmp_path: Any,
    settings: Settings,
    words: str,
    action: str,
) -> None:
    file = tmp_path / "request.xml"
    file.write_text(XML.format(bucket=settings.cos_bucket))
    given = things | {"file": str(file), "url": f"{settings.ci_endpoint}/nothing"}
    result = app.test_cli_runner().invoke(args=words.format(**given).split(), prog_name="flask")
    assert result.exit_code == 0, result.output
    assert acts(store) == [("local", "command", action)]


def test_no_changing_route_is_left_out(app: Flask) -> None:
    """A route that is new stands in one of the tables above, or this fails."""
    changing = {r.rule for r in app.url_map.iter_rules() if (r.methods or set()) - {"GET", "HEAD", "OPTIONS"}}
    assert changing == {each[0] for each in (*BY_API, *BY_PAGE)} | NO_ACTS.keys()


def test_no_command_is_left_out(app: Flask) -> None:
    """A command that is new is one that only looks, or stands in the table above."""

    def leaves(command: Any, path: str) -> set[str]:
        command = getattr(command, "command", command)
        if not isinstance(command, click.Group):
            return {path}
        inner = {each for name, one in command.commands.items() for each in leaves(one, f"{path} {name}")}
        return inner | ({path} if command.invoke_without_command else set())

    every = {each for name in PRODUCT_COMMANDS for each in leaves(app.cli.commands[name], name)}
    acting = {
        next(each for each in sorted(every, reverse=True) if words.startswith(each))
        for words, _ in BY_COMMAND
    }
    assert every == acting | LOOKS
    assert not acting & LOOKS


XML = (
    "<Request><Tag>VoiceSeparate</Tag><Input><Object>in/a.mp3</Object></Input><Operation><VoiceSeparate>"
    "<AudioMode>IsAudio</AudioMode><AudioConfig><Codec>mp3</Codec></AudioConfig></VoiceSeparate><Output>"
    "<Region>ap-chongqing</Region><Bucket>{bucket}</Bucket><AuObject>out/a.mp3</AuObject></Output></Operation></Request>"
)


def test_a_secret_is_in_no_entry(app: Flask, store: Store, settings: Settings) -> None:
    """Neither a key nor a callback URL, though commands print and take both."""
    runner = app.test_cli_runner()
    key = runner.invoke(args=["keys", "create", "shop"]).stdout.strip()
    url = runner.invoke(args=["callback-url", "--name", "console"]).stdout.strip()
    assert runner.invoke(args=["callback-url", "--revoke", url]).exit_code == 0
    assert runner.invoke(args=["trigger", "Snapshot", "--url", url]).exit_code == 0
    rows: list[Any] = store.db.client.xrange(store.db.key("audit", "others"))  # type: ignore[assignment]
    kept = b"".join(fields[b"entry"] for _, fields in rows)
    assert kept.count(b"callback_url") == 2 and b"trigger" in kept
    for secret in (key, url.rpartition("/")[2], settings.callback_keys[0].secret):
        assert secret and secret.encode() not in kept


def test_refused_requests_and_dry_runs_are_no_actions(
    client: FlaskClient, store: Store, key: dict[str, str], job: str
) -> None:
    """So that no key can push out what others did by asking for what it may not do."""
    reader = {"Authorization": f"Bearer {store.api_keys.create('reader', frozenset({'read'}))}"}
    for path, body, headers, status in (
        (f"/v1/jobs/{job}/cancel", None, reader, 403),
        (f"/v1/jobs/{job}/cancel", None, {}, 401),
        ("/v1/jobs/none/replay", None, key, 404),
        ("/v1/jobs/replay", {}, key, 422),
        ("/v1/jobs/replay", {"all": True, "dry_run": True}, key, 200),
        ("/v1/jobs", {"tag": "VoiceSeparate"}, key, 422),
    ):
        assert client.post(path, json=body, headers=headers).status_code == status, path
    assert acts(store) == []


def test_an_action_that_failed_is_there_with_its_reason(
    client: FlaskClient, store: Store, key: dict[str, str], job: str, settings: Settings
) -> None:
    """CI may have done a part of it."""
    Emulated(str(settings.ci_endpoint), settings.cos_bucket).fault(
        "error", on="cancel", code="AccessDenied", status=403
    )
    assert client.post(f"/v1/jobs/{job}/cancel", headers=key).status_code == 502
    (entry,), _ = store.audit.page(1)
    assert (entry.job_ids, entry.did) == ((job,), {"error": "ci_refused"})


def test_an_action_succeeds_even_if_its_entry_cannot_be_written(
    client: FlaskClient, store: Store, key: dict[str, str], job: str
) -> None:
    """An error would have it done twice."""
    store.db.client.set(store.db.key("audit", "others"), "of another type")
    assert client.post("/v1/lanes/default/pause", headers=key).status_code == 200
    assert store.lanes.paused()["default"].by == "tests"


def test_the_list_is_for_admins_and_paged(client: FlaskClient, store: Store, key: dict[str, str]) -> None:
    """As the document says, a page at a time."""
    for name in ("pause", "resume", "pause"):
        assert client.post(f"/v1/lanes/default/{name}", headers=key).status_code == 200
    submitter = {
        "Authorization": f"Bearer {store.api_keys.create('submitter', frozenset({'submit', 'read'}))}"
    }
    assert client.get("/v1/audit", headers=submitter).status_code == 403
    first = client.get("/v1/audit?limit=2", headers=key).get_json()
    second = client.get(f"/v1/audit?limit=2&cursor={first['next_cursor']}", headers=key).get_json()
    found = first["entries"] + second["entries"]
    assert [each["action"] for each in found] == ["lanes.pause", "lanes.resume", "lanes.pause"]
    assert second["next_cursor"] is None
    document = client.get("/openapi.json").get_json()
    schema = document["components"]["schemas"]["AuditPage"]
    assert faults(first, schema, document) == []
