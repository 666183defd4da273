"""Addresses that someone else wrote: links, redirects and forms hold only what our own pages would write."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from app.store import Store
from app.store.runs.run import Start, run_id
from tests.api.stored import put
from tests.pages.signed_in import CSRF
from tests.store.news import create_submission

LISTS = ("/", "/failures", "/refusals")
OF_URL_FOR = ("endpoint", "values", "_anchor", "_method", "_scheme", "_external", "_cls_name")
OF_THE_FORMS = (
    "csrf",
    "action",
    "which",
    "sure",
    "total",
    "seen",
    "done",
    "cursor",
    "reason",
    "why",
    "job",
    "run",
)
HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)"')


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("name", [*OF_URL_FOR, *OF_THE_FORMS, "refusal", "self", "rows", "unknown"])
def test_a_name_in_the_address_fills_in_no_form(
    visitor: FlaskClient, store: Store, path: str, name: str
) -> None:
    """A link can choose filters, and nothing else: not an action, nor its confirmation."""
    put(store, "j1")
    answer = visitor.get(path, query_string={name: "yes"}, headers={"HX-Request": "true"})
    assert answer.status_code in {200, 422}
    filters = {"/": set(), "/failures": {"endpoint"}, "/refusals": {"reason"}}[path]
    assert set(HIDDEN.findall(answer.text)) <= {"csrf"} | filters


@pytest.mark.parametrize("name", [*OF_URL_FOR, "self"])
def test_a_form_with_any_field_is_answered(visitor: FlaskClient, name: str) -> None:
    """The filters of a list and unknown fields alike: with what is wrong, or with the question whether one is sure."""
    for path, action in (("/jobs/act", "refresh"), ("/failures/act", "retry"), ("/refusals/act", "retry")):
        form = {"csrf": CSRF.findall(visitor.get("/failures").text)[0], "action": action, "which": "all"}
        assert visitor.post(path, data=form | {name: "x"}).status_code in {200, 422}, path


def test_failures_of_one_endpoint_lead_on_to_older_ones(visitor: FlaskClient, store: Store) -> None:
    """Its links keep the filter."""
    for n in range(51):
        _fail(store, f"j{n}", "forward", "shop")
    page = visitor.get("/failures?endpoint=shop").text
    (older,) = re.findall(r'href="([^"]*cursor=[^"]*)"', page)
    assert parse_qs(urlsplit(older.replace("&amp;", "&")).query)["endpoint"] == ["shop"]
    assert visitor.get(older.replace("&amp;", "&")).text.count('class="pick"') == 1


def test_a_failure_of_a_submissions_own_event_is_shown(visitor: FlaskClient, store: Store) -> None:
    """It has no job to link to."""
    create_submission(store, "s1")
    store.submissions.settle("s1", "failed", "CI refused it")
    (posted,) = (each for each in store.outbox.after("0", 9) if each.event.kind == "submission_failed")
    store.runs.plan([(posted.event, [("mine.tell", None)])])
    run = run_id(posted.event.event_id, "mine.tell")
    assert store.runs.start(Start(run, 1, 0, "w")) == -1
    answer = visitor.get("/failures")
    assert answer.status_code == 200
    assert "an event without a job" in answer.text


def _fail(store: Store, job_id: str, handler: str, endpoint: str) -> None:
    put(store, job_id)
    posted = next(each for each in store.outbox.after("0", 200) if each.event.job_id == job_id)
    store.runs.plan([(posted.event, [(handler, endpoint)])])
    assert store.runs.start(Start(run_id(posted.event.event_id, handler, endpoint), 1, 0, "w")) == -1


@pytest.mark.parametrize(
    "where",
    [
        *("//evil.example/", "https://evil.example/", "/\\evil.example", "///evil.example", "evil.example"),
        *(
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\\evil.example",
            "\t//evil.example",
            "/\u2028/evil.example",
        ),
    ],
)
def test_signing_in_leads_to_no_other_site(app: Flask, key: dict[str, str], where: str) -> None:
    """Neither with what a browser drops, nor with what it takes for a slash."""
    location = _signed_in_to(app, key, "", where)
    assert location == "/"


@pytest.mark.parametrize("path", ["/", "/failures?endpoint=shop", "/jobs/j1"])
@pytest.mark.parametrize("prefix", ["", "/ci"])
def test_signing_in_leads_to_the_page_that_was_asked_for(settings: Settings, prefix: str, path: str) -> None:
    """Below the path of PUBLIC_URL too, if the proxy passes it on."""
    app = create_app(settings.model_copy(update={"public_url": f"https://callbacks.example{prefix}"}))
    store: Store = app.extensions["services"].store
    put(store, "j1")
    key = {"Authorization": f"Bearer {store.api_keys.create('eyes', frozenset({'read'}))}"}
    asked = app.test_client().get(f"{prefix}{path}")
    found = urlsplit(asked.headers["Location"])
    assert found.path == f"{prefix}/login"
    assert _signed_in_to(app, key, prefix, parse_qs(found.query)["next"][0]) == f"{prefix}{path}"


def _signed_in_to(app: Flask, key: dict[str, str], prefix: str, where: str) -> str:
    """Where signing in leads to: through the form that is shown for this address, and by a form with it."""
    shown, sent = (_signed_in_by(app, key, prefix, where, changed) for changed in ({}, {"next": where}))
    assert shown == sent
    return shown


def _signed_in_by(app: Flask, key: dict[str, str], prefix: str, where: str, changed: dict[str, str]) -> str:
    client = app.test_client()
    page = client.get(f"{prefix}/login", query_string={"next": where}).text
    form = {"csrf": CSRF.findall(page)[0], "key": key["Authorization"].removeprefix("Bearer ")}
    form["next"] = re.findall(r'name="next" value="([^"]*)"', page)[0].replace("&amp;", "&")
    answer = client.post(f"{prefix}/login", data=form | changed)
    assert answer.status_code == 303
    return answer.headers["Location"]
