"""``POST /v1/jobs/refresh``, ``…/replay`` and ``…/cancel``: those that the list's filters choose, or all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.services import Services
from app.settings import Settings
from app.store import Store
from app.store.access.api_keys import Scope
from app.submitter import Submitter
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey, free_port
from harness.settings import make_settings
from tests.api.stored import put
from tests.submitter.conftest import REQUEST


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Its jobs do not end while a test counts those that can be cancelled."""
    with Emulator(tmp_path_factory.mktemp("patient"), free_port(), "--run-seconds", "3600") as server:
        yield server


@pytest.fixture
def settings(valkey: Valkey, emulator: Emulator) -> Settings:
    ci = Emulated(emulator.url)
    return make_settings(
        valkey.url,
        ci_endpoint=ci.url,
        cos_bucket=ci.bucket,
        forward_urls="http://127.0.0.1:9/hook#name=there",
        forward_keys="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )


@pytest.fixture
def ci(settings: Settings) -> Emulated:
    return Emulated(str(settings.ci_endpoint), settings.cos_bucket)


def submitted(services: Services, **labels: str) -> str:
    request = REQUEST.model_copy(update={"labels": labels})
    return Submitter(services).submit(request).job_ids[0]


def post(client: FlaskClient, key: dict[str, str], what: str, **body: Any) -> Any:
    answer = client.post(f"/v1/jobs/{what}", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.mark.parametrize("what", ["refresh", "replay", "cancel"])
@pytest.mark.parametrize(
    "body", [{}, {"dry_run": True}, {"all": False}, {"all": True, "tag": "x"}, {"tag": None}]
)
def test_a_bulk_request_must_select_its_jobs(
    client: FlaskClient, key: dict[str, str], store: Store, what: str, body: dict[str, Any]
) -> None:
    """A filter that is missing by mistake must not select every job."""
    put(store, "j1")
    problem = client.post(f"/v1/jobs/{what}", json=body, headers=key)
    assert problem.status_code == 422
    assert "all: true" in problem.get_json()["detail"] and "label.<name>" in problem.get_json()["detail"]
    unknown = client.post(f"/v1/jobs/{what}", json={"stat": "Success"}, headers=key).get_json()
    assert "state" in unknown["errors"][0]["rule"]


@pytest.mark.parametrize("what", ["refresh", "replay", "cancel"])
def test_a_dry_run_only_counts_the_jobs(
    client: FlaskClient, key: dict[str, str], store: Store, what: str
) -> None:
    """For each of the list's filters; CI is not asked, and nothing is replayed or cancelled. A job that has ended
    cannot be cancelled."""
    put(store, "j1", State="Running", EndTime=None)
    put(store, "j2")
    put(store, "j3", Tag="Transcode", State="Running", EndTime=None)
    events = len(store.outbox.after("0-0", 100))
    ended = 0 if what == "cancel" else 1
    for body, count in (
        ({"all": True}, 2 + ended),
        ({"tag": "VoiceSeparate"}, 1 + ended),
        ({"tag": "Transcode", "state": "Running"}, 1),
        ({"label.show": "news"}, 0),
        ({"created_after": "2030-01-01T00:00:00Z"}, 0),
    ):
        assert post(client, key, what, **body, dry_run=True) == {"count": count}, body
    assert len(store.outbox.after("0-0", 100)) == events


def test_jobs_are_refreshed_by_a_label(
    client: FlaskClient, key: dict[str, str], services: Services, ci: Emulated
) -> None:
    """CI is asked once for all of them; a job that CI cannot be asked about is reported and delays no other."""
    ci.fault("lose")
    ids = [submitted(services, show="news") for _ in range(3)]
    other = submitted(services, show="sport")
    put(
        services.store,
        "jstrange",
        Input={"BucketId": "strange-1", "Object": "a.mp3", "Region": "ap-chongqing"},
    )
    asked = len(ci.requests("describe"))
    done = post(client, key, "refresh", **{"label.show": "news"})
    assert done == {"count": 3, "done": 3, "failed": [], "next_cursor": None}
    assert len(ci.requests("describe")) == asked + 1
    everything = post(client, key, "refresh", all=True)
    assert (everything["count"], everything["done"]) == (5, 4)
    assert [each["job_id"] for each in everything["failed"]] == ["jstrange"]
    assert "COS_BUCKETS" in everything["failed"][0]["why"]
    assert {services.store.jobs.get(each).source for each in [*ids, other]} == {"poll"}  # type: ignore[union-attr]


def test_jobs_are_cancelled_together(
    client: FlaskClient, key: dict[str, str], services: Services, ci: Emulated
) -> None:
    ids = [submitted(services, show="news") for _ in range(3)]
    kept = submitted(services, show="sport")
    done = post(client, key, "cancel", **{"label.show": "news"})
    assert (done["count"], done["done"] + len(done["failed"])) == (3, 3)
    assert len(ci.requests("cancel")) == 3
    assert kept not in {each["job_id"] for each in done["failed"]}
    again = post(client, key, "cancel", **{"label.show": "news"}, dry_run=True)["count"]
    assert again == sum(not services.store.jobs.get(each).terminal for each in ids)  # type: ignore[union-attr]


def test_replays_go_on_from_the_cursor(
    client: FlaskClient, key: dict[str, str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request replays a bounded number of jobs; with the cursors each job is replayed once."""
    monkeypatch.setattr("app.api.chosen.many_jobs._REPLAYED", 2)
    for n in range(5):
        put(store, f"j{n}", CreationTime=f"2024-03-05T21:59:0{n}+0800")
    cursor, found = None, []
    while True:
        before = len(store.outbox.after("0-0", 100))
        done = post(client, key, "replay", tag="VoiceSeparate", cursor=cursor)
        found += [each.event.job_id for each in store.outbox.after("0-0", 100)[before:]]
        assert done["done"] == done["count"] <= 2
        cursor = done["next_cursor"]
        if cursor is None:
            break
    assert found == ["j3", "j4", "j1", "j2", "j0"]


@pytest.mark.parametrize(
    ("query", "only"),
    [("?handler=mine.publish", "handler mine.publish"), ("?endpoint=there", "endpoint there"), ("", None)],
)
def test_a_replay_may_be_for_one_only(
    client: FlaskClient, key: dict[str, str], store: Store, query: str, only: str | None
) -> None:
    """Event and history name the handler or endpoint for which the replay is."""
    put(store, "j1")
    assert client.post(f"/v1/jobs/j1/replay{query}", headers=key).status_code == 202
    event = store.outbox.after("0-0", 100)[-1].event
    assert (str(event.only) if event.only else None) == only
    last = client.get("/v1/jobs/j1/events", headers=key).get_json()["events"][-1]
    assert last.get("only") == only


def test_a_replay_for_none_is_refused(client: FlaskClient, key: dict[str, str], store: Store) -> None:
    """A misspelt name would replay nothing and report success: the error names the handlers and endpoints that
    exist."""
    put(store, "j1")
    store.runs.declare(["mine.publish", "forward"])
    for query, status, known in (
        ("endpoint=their", 404, "there"),
        ("handler=mine.publsh", 404, "mine.publish"),
        ("handler=forward&endpoint=there", 404, "not both"),
        ("handlr=x", 422, "handler"),
    ):
        answer = client.post(f"/v1/jobs/j1/replay?{query}", headers=key)
        assert answer.status_code == status
        assert known in answer.get_json()["errors"][0]["rule"]
    body = {"all": True, "handler": "mine.publsh"}
    assert client.post("/v1/jobs/replay", json=body, headers=key).status_code == 404
    assert len(store.outbox.after("0-0", 10)) == 1


@pytest.mark.parametrize(
    ("what", "scopes", "status"),
    [
        ("refresh", {"read"}, 200),
        ("refresh", {"submit"}, 403),
        ("cancel", {"submit"}, 403),
        ("cancel", {"submit", "read"}, 200),
        ("replay", {"read"}, 403),
        ("replay", {"submit"}, 200),
    ],
)
def test_each_needs_the_scopes_that_it_has_for_one_job(
    app: Flask, store: Store, what: str, scopes: set[Scope], status: int
) -> None:
    secret = store.api_keys.create("one", frozenset(scopes))
    headers = {"Authorization": f"Bearer {secret}"}
    body = {"tag": "Nothing"}
    assert app.test_client().post(f"/v1/jobs/{what}", json=body, headers=headers).status_code == status


def test_commands_do_the_same(settings: Settings, services: Services, ci: Emulated) -> None:
    """``flask jobs refresh --label …`` counts first, asks for confirmation, and prints the same document."""
    runner = create_app(settings).test_cli_runner()

    def run(*arguments: str, code: int = 0, **more: Any) -> Any:
        result = runner.invoke(args=["jobs", *arguments], **more)
        assert result.exit_code == code, result.output
        return result

    ids = [submitted(services, show="news") for _ in range(2)]
    submitted(services, show="sport")
    by_label = ("--label", "show=news")
    assert run("refresh", *by_label, "--dry-run", "--json").stdout == '{\n  "count": 2\n}\n'
    assert "2 refreshed" in run("refresh", *by_label).stdout
    assert "3 refreshed" in run("refresh", "--all").stdout
    for command in ("refresh", "cancel", "replay"):
        run(command, code=2)
        run(command, "--all", *by_label, code=2)
    assert "2 jobs match" in run("cancel", *by_label, input="n\n", code=1).stderr
    assert ci.requests("cancel") == []
    run("replay", *by_label, "--endpoint", "their", code=2)
    run("replay", *by_label, "--endpoint", "there", "--yes")
    newest = [each.event for each in services.store.outbox.after("0-0", 100)][-2:]
    assert [(each.kind, each.job_id, str(each.only)) for each in newest] == [
        ("replay", each, "endpoint there") for each in sorted(ids, key=lambda each: created(services, each))
    ]
    assert len(run("list", *by_label).stdout.splitlines()) == 1 + 2, "a heading, and a line for each job"
    run("list", "--label", "show", code=2)


def created(services: Services, job_id: str) -> Any:
    job = services.store.jobs.get(job_id)
    return (job.created_at if job else "", job_id)
