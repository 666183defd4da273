"""Each part of the health page: what makes it red, its text, and where its link leads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.ci.incoming.payload import parse
from app.core.clock import now_ms, rfc3339
from app.pages import condition
from app.services import Services
from app.store import News, Store
from app.store.refusals.refusal import Refusal
from app.store.submissions.submissions import Submission
from docs.runbook import anchor
from harness.servers import ROOT
from tests.api.stored import put
from tests.pages.signed_in import CSRF, signed_in
from tests.workers.news import a_failure, body

HEADINGS = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
ROW = re.compile(r'<tr class="(good|warn|bad)"><th scope="row">([^<]+)</th>(.*?)</tr>', re.DOTALL)


def rows(visitor: FlaskClient) -> dict[str, tuple[str, str]]:
    """The sign of each part, and its row."""
    return {name: (look, text) for look, name, text in ROW.findall(visitor.get("/health").text)}


def _running(store: Store) -> None:
    store.presence.here("relay", "worker", "lane:default")


def _event_waits(services: Services) -> None:
    put(services.store, "j1")
    redis, key = services.store.db.client, services.store.db.key("events")
    found: Any = redis.xrange(key)
    redis.delete(key)
    redis.xadd(key, found[0][1], id=f"{now_ms() - 120_000}-0")


def _question_waits(services: Services) -> None:
    services.store.due.ask("j1", in_s=-120)


def _job_overdue(services: Services) -> None:
    past = rfc3339(now_ms() - 1000)
    services.store.submissions.create(Submission("s1", "submitted", past, past, "own", "b", "r"))
    details = parse(body("j1", "Running", EndTime=None)).details
    services.store.acceptor.accept(News(details, "callback", "token", submission="s1", bind=False))


def _endpoint_paused(services: Services) -> None:
    services.store.db.client.sadd(services.store.db.key("endpoints"), "shop")
    for _ in range(3):
        services.store.deliveries.in_trouble("shop", "refused")


def _refused(services: Services) -> None:
    services.store.refusals.note(Refusal("malformed_json", "x", "t", {}, ("j1",), body=b"{", id="0" * 12))


def _callbacks_silent(services: Services) -> None:
    put(services.store, "j1", State="Running", EndTime=None)
    services.store.tallies.note_callback(now_ms() - 7_200_000)


RED: list[tuple[Callable[[Services], object], str, str]] = [
    (lambda _: None, "Relay", "relay-missing"),
    (lambda _: None, "Workers", "worker-missing"),
    (lambda each: each.store.lanes.declare(["slow"]), "Lanes", "lane-unserved"),
    (_event_waits, "Outbox", "outbox-lagging"),
    (_question_waits, "Reconciler", "questions-failing"),
    (_job_overdue, "Reconciler", "jobs-overdue"),
    (_callbacks_silent, "Newest callback", "callbacks-silent"),
    (a_failure, "Failures", "failures-open"),
    (_refused, "Refusals", "callbacks-refused"),
]


@pytest.mark.parametrize(("prepare", "name", "section"), RED, ids=[each[2] for each in RED])
def test_a_part_that_fails_says_what_to_do(
    visitor: FlaskClient, services: Services, prepare: Callable[[Services], object], name: str, section: str
) -> None:
    """With a link to its section of the runbook."""
    prepare(services)
    look, row = rows(visitor)[name]
    assert look in {"warn", "bad"}
    assert f'href="/health/runbook#{section}"' in row


def test_parts_that_work_say_nothing_to_do(visitor: FlaskClient, store: Store) -> None:
    """So that the eye finds those that do not."""
    _running(store)
    for name, (look, row) in rows(visitor).items():
        assert (look, "runbook" in row) == ("good", False), name


def test_a_part_that_works_says_what_is_known_of_it(visitor: FlaskClient, store: Store) -> None:
    """No row of the automatic parts is a bare "ok", which would leave the reader to guess what the part is."""
    _running(store)
    bare = {
        name
        for name, (_, row) in rows(visitor).items()
        if re.search(r"</span> \w+</span></td><td></td>", row)
    }
    assert bare == {"Failures", "Refusals"}, "of these, none is all there is to say"


def test_the_reconciler_says_what_ci_answered(visitor: FlaskClient, store: Store) -> None:
    """How many questions it asked, and how many CI answered or left unanswered."""
    store.tallies.note_questions({"answered": 5, "unknown": 1, "throttled": 1, "failed": 2})
    assert "asked 9, answered 6, silent 3" in rows(visitor)["Reconciler"][1]


def test_the_newest_callback_has_its_age(visitor: FlaskClient, store: Store) -> None:
    """Whichever web server stored it. Its age is no fault while no job is open."""
    assert ">✓</span> none<" in rows(visitor)["Newest callback"][1]
    store.tallies.note_callback(now_ms() - 7_200_000)
    store.tallies.note_callback(now_ms() - 9_000_000)
    look, row = rows(visitor)["Newest callback"]
    assert look == "good"
    assert "2 h" in row


def test_an_endpoint_that_is_paused_says_what_to_do(visitor: FlaskClient, services: Services) -> None:
    _endpoint_paused(services)
    page = visitor.get("/health").text
    assert "paused until" in page
    assert 'href="/health/runbook#deliveries-failing"' in page


@pytest.mark.parametrize("name", condition.REMEDIES)
def test_each_link_leads_to_a_section(client: FlaskClient, name: str) -> None:
    """Both in the runbook's page and in the repository's file."""
    section = condition.REMEDIES[name].anchor
    assert section in {anchor(each) for each in HEADINGS}
    assert f' id="{section}"' in client.get("/health/runbook").text


def test_every_part_of_readyz_has_advice(client: FlaskClient) -> None:
    """A new part without an entry in the table fails here."""
    assert client.get("/readyz").json["parts"].keys() <= condition.REMEDIES.keys()  # type: ignore[index]


def test_the_runbook_needs_no_redis(client: FlaskClient, store: Store) -> None:
    """Operators read it when Redis is unavailable, so it needs no session."""
    page = client.get("/health/runbook")
    assert page.status_code == 200
    for heading in HEADINGS:
        assert f">{heading}</h2>" in page.text


def test_the_audit_list_says_who_did_what_with_which_result(visitor: FlaskClient, store: Store) -> None:
    """Newest first; the health page has the newest eight, and a link to all."""
    page = visitor.get("/health").text
    assert "No action yet" in page
    proof = CSRF.findall(page)[0]
    for action in ("pause", "resume") * 5:
        visitor.post(f"/lanes/default/{action}", data={"csrf": proof})
    page = visitor.get("/health").text
    listed = page.partition("What people did")[2]
    assert listed.count("<code>lanes.") == 8
    assert listed.index("lanes.resume") < listed.index("lanes.pause")
    for words in ("tests", "by page", "lane: default", "done", 'href="/health/audit"'):
        assert words in listed
    assert visitor.get("/health/audit").text.count("<code>lanes.") == 10


def test_the_audit_list_is_for_admins(app: Flask, store: Store) -> None:
    """Other keys get the name of the scope that they lack."""
    client = signed_in(app, store.api_keys.create("eyes", frozenset({"read"})))
    assert "needs a key with the scope <code>admin</code>" in client.get("/health").text
    assert client.get("/health/audit").status_code == 403
