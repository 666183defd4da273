"""Every error that the OpenAPI document lists for an operation can happen there: here each of them does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.settings.rates import Rate
from app.store import Store
from app.store.access.api_keys import SCOPES
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey, eventually, free_port
from harness.settings import make_settings
from tests.api.stored import put
from tests.ci.samples import NO_JOBS
from tests.receiver.callbacks import a_token, body

SUBMISSION = {
    "tag": "VoiceSeparate",
    "input": {"object": "in/a.mp3"},
    "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
    "output": {"au_object": "out/a.mp3"},
}
BULK = {"all": True}


class Operation(NamedTuple):
    """An operation of the document; ``reasons`` are the errors that it lists."""

    method: str
    path: str
    reasons: frozenset[str]
    has_body: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_callback(self) -> bool:
        return self.path.startswith("/callbacks")


def operations(app: Flask) -> list[Operation]:
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    return [
        Operation(
            method.upper(),
            path,
            frozenset(
                word
                for answer in described["responses"].values()
                if "application/problem+json" in answer.get("content", {})
                for word in answer["description"].split(", ")
            ),
            "requestBody" in described,
        )
        for path, methods in paths.items()
        for method, described in methods.items()
    ]


class Caller:
    """One application with its store and the emulator as its CI; asks with a key that has every scope."""

    def __init__(self, valkey: Valkey, emulator: Emulator, **changes: object) -> None:
        self.ci = Emulated(emulator.url)
        values: dict[str, object] = {"ci_endpoint": emulator.url, "cos_bucket": self.ci.bucket}
        self.settings = make_settings(valkey.url, **(values | changes))
        self.app = create_app(self.settings)
        self.client: FlaskClient = self.app.test_client()
        self.store: Store = self.app.extensions["services"].store
        self.operations = operations(self.app)

    def key(self, *scopes: str) -> dict[str, str]:
        key = self.store.api_keys.create("tests", frozenset(scopes or SCOPES), replace=True)
        return {"Authorization": f"Bearer {key}"}

    def ask(self, operation: str, path: str = "", headers: Any = None, **options: Any) -> Any:
        """The reason of the answer, whatever its status; ``path`` where the operation's own has members to fill."""
        method, _, template = operation.partition(" ")
        if template.startswith("/callbacks"):
            token = options.pop("token", None) or a_token(self.settings)
            url = template.replace("{token}", token)
        else:
            url = path or re.sub(r"\{\w+\}", "1", template)
            headers = headers or {}
            headers = headers if "Authorization" in headers else self.key() | headers
        answer = self.client.open(url, method=method, headers=headers, **options)
        return (answer.get_json(silent=True) or {}).get("reason", answer.status_code)

    def stored(self, job_id: str = "j1", **changes: object) -> str:
        place = {"BucketId": self.settings.cos_bucket, "Object": "a.mp3", "Region": "ap-chongqing"}
        put(self.store, job_id, Input=place, **changes)
        return job_id


@pytest.fixture
def caller(valkey: Valkey, emulator: Emulator) -> Caller:
    return Caller(valkey, emulator)


class Silent:
    """A body that ends with what the server raises where nothing more arrives, or where the connection closes."""

    def __init__(self, error: type[Exception]) -> None:
        self._error = error

    def read(self, _size: int = -1) -> bytes:
        raise self._error


def _body(content: bytes = b"", **headers: str) -> dict[str, Any]:
    return {"data": content, "headers": headers}


def _broken_off(error: type[Exception]) -> dict[str, Any]:
    return {"environ_overrides": {"wsgi.input": Silent(error), "CONTENT_LENGTH": "20"}}


OF_ANY_BODY: dict[str, dict[str, Any]] = {
    "malformed_json": _body(b"{"),
    "too_complex": _body(b"[" * 100_000),
    "incomplete_body": _broken_off(ConnectionError),
    "slow_body": _broken_off(TimeoutError),
    "body_too_large": _body(b" " * 3_000_000),
    "content_encoding": _body(b"{}", **{"Content-Encoding": "gzip"}),
}
"""By an operation with a body, whatever its other rules."""


@pytest.mark.parametrize("reason", OF_ANY_BODY)
def test_each_problem_of_a_body_occurs(caller: Caller, reason: str) -> None:
    said = {
        each.name: caller.ask(each.name, **OF_ANY_BODY[reason])
        for each in caller.operations
        if reason in each.reasons
    }
    assert len(said) > 1
    assert set(said.values()) == {reason}, said


def test_each_problem_of_a_query_or_a_document_occurs(caller: Caller) -> None:
    """Each operation gets an unknown member."""
    said = {
        each.name: caller.ask(
            each.name, **({"json": {"nonsense": 1}} if each.has_body else {"query_string": "nonsense=1"})
        )
        for each in caller.operations
        if "invalid_request" in each.reasons
    }
    assert set(said.values()) == {"invalid_request"}, said


def test_the_problem_of_a_rate_limit_occurs(valkey: Valkey, emulator: Emulator) -> None:
    """The second request of an hour."""
    limited = Caller(valkey, emulator, api_rate=Rate(1, 3600, 1))
    for each in limited.operations:
        if "too_many_requests" in each.reasons:
            headers = limited.key()
            limited.ask(each.name, headers=headers)
            assert limited.ask(each.name, headers=headers) == "too_many_requests", each.name


def test_each_problem_of_content_negotiation_occurs(caller: Caller) -> None:
    for each in caller.operations:
        if "not_acceptable" in each.reasons:
            assert caller.ask(each.name, headers={"Accept": "image/png"}) == "not_acceptable", each.name


def test_each_problem_of_an_outage_occurs(caller: Caller) -> None:
    """No Redis, and no spool."""
    there = caller.key()
    away = caller.settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}"})
    caller.client = create_app(away).test_client()
    caller.key = lambda *_: there  # type: ignore[method-assign]
    for each in caller.operations:
        if "store_unavailable" in each.reasons:
            content = body() if each.is_callback else b"{}"
            assert caller.ask(each.name, data=content) == "store_unavailable", each.name


DOCUMENTS = {
    "POST /v1/jobs/{job_id}/settle": {"as": "known"},
    "POST /v1/failures/{event_id}/dismiss": {"reason": "done elsewhere"},
    "POST /v1/refusals/{refusal_id}/dismiss": {"reason": "done elsewhere"},
}


def test_each_not_found_problem_occurs(caller: Caller) -> None:
    for each in caller.operations:
        if "not_found" in each.reasons:
            document = DOCUMENTS.get(each.name)
            assert caller.ask(each.name, json=document) == "not_found", each.name


def _submission(caller: Caller, **headers: str) -> Any:
    return caller.ask("POST /v1/jobs", json=SUBMISSION, headers=headers)


def _other_document_of_a_key(caller: Caller) -> Any:
    _submission(caller, **{"Idempotency-Key": "k"})
    other = SUBMISSION | {"user_data": "other"}
    return caller.ask("POST /v1/jobs", json=other, headers={"Idempotency-Key": "k"})


def _twice_at_once(caller: Caller) -> Any:
    caller.ci.fault("slow", on="submit", seconds=3, times=1)
    headers = caller.key() | {"Idempotency-Key": "k"}
    first = threading.Thread(target=_submission, args=(caller,), kwargs=headers)
    first.start()
    eventually(caller.store.submissions.unanswered, "the first to have stored its submission")
    said = _submission(caller, **headers)
    first.join()
    return said


def _beyond_the_budget(caller: Caller) -> Any:
    one_a_day = caller.settings.model_copy(update={"submit_max_per_day": 1})
    caller.client = create_app(one_a_day).test_client()
    assert _submission(caller) == 201
    return _submission(caller)


def _too_many_streams(caller: Caller) -> Any:
    caller.client = create_app(caller.settings.model_copy(update={"waiting_max": 1})).test_client()
    with caller.client.get("/v1/events", headers=caller.key(), buffered=False) as first:
        next(iter(first.response))
        return caller.ask("GET /v1/events")


def _about_no_job_of_ci(what: str) -> Callable[[Caller], Any]:
    def ask(caller: Caller) -> Any:
        (content, job_id), *_ = NO_JOBS.values()
        caller.ask("POST /callbacks/{token}", data=content)
        return caller.ask(f"POST /v1/jobs/{{job_id}}/{what}", f"/v1/jobs/{job_id}/{what}")

    return ask


def _about_a_job_that_ci_forgot(what: str) -> Callable[[Caller], Any]:
    def ask(caller: Caller) -> Any:
        caller.stored("jforgotten", State="Running", EndTime=None)
        return caller.ask(f"POST /v1/jobs/{{job_id}}/{what}", f"/v1/jobs/jforgotten/{what}")

    return ask


def _while_ci(operation: str, **fault: Any) -> Callable[[Caller], Any]:
    """CI answers every request with that error."""

    def ask(caller: Caller) -> Any:
        job_id = caller.stored(State="Running", EndTime=None)
        caller.ci.fault("error", on="any", **fault)
        path = operation.partition(" ")[2].replace("{job_id}", job_id)
        return caller.ask(operation, path, json=SUBMISSION if path == "/v1/jobs" else BULK)

    return ask


def _for_a_stranger(operation: str) -> Callable[[Caller], Any]:
    """A handler that does not exist."""

    def ask(caller: Caller) -> Any:
        caller.store.runs.declare(["known_handler"])
        path = operation.partition(" ")[2].replace("{job_id}", caller.stored())
        one = (
            {"query_string": "handler=unknown_handler"}
            if caller.stored() in path
            else {"json": BULK | {"handler": "unknown_handler"}}
        )
        return caller.ask(operation, path, **one)

    return ask


def _without_a_doubt(caller: Caller) -> Any:
    path = f"/v1/jobs/{caller.stored()}/settle"
    return caller.ask("POST /v1/jobs/{job_id}/settle", path, json={"as": "known"})


def _of_part_of_a_body(caller: Caller) -> Any:
    caller.ask("POST /callbacks/{token}", data=b" " * 3_000_000)
    (refusal,) = caller.store.refusals.newest(1)
    return caller.ask("POST /v1/refusals/{refusal_id}/retry", f"/v1/refusals/{refusal.id}/retry")


def _of_no_lane(what: str) -> Callable[[Caller], Any]:
    return lambda caller: caller.ask(f"POST /v1/lanes/{{name}}/{what}", f"/v1/lanes/nowhere/{what}")


_ASK_CI = ("POST /v1/jobs/{job_id}/cancel", "POST /v1/jobs/{job_id}/refresh", "POST /v1/jobs")
_REPLAYS = ("POST /v1/jobs/{job_id}/replay", "POST /v1/jobs/replay")

HOW: dict[tuple[str, str], Callable[[Caller], Any]] = {
    ("POST /v1/jobs", "idempotency_mismatch"): _other_document_of_a_key,
    ("POST /v1/jobs", "idempotency_in_flight"): _twice_at_once,
    ("POST /v1/jobs", "budget_spent"): _beyond_the_budget,
    ("GET /v1/events", "too_many_waiting"): _too_many_streams,
    ("POST /v1/jobs/{job_id}/settle", "not_doubted"): _without_a_doubt,
    ("POST /v1/refusals/{refusal_id}/retry", "not_retryable"): _of_part_of_a_body,
    **{(name, "unknown_handler"): _for_a_stranger(name) for name in _REPLAYS},
    **{
        (f"POST /v1/lanes/{{name}}/{what}", "unknown_lane"): _of_no_lane(what) for what in ("pause", "resume")
    },
    **{
        (f"POST /v1/jobs/{{job_id}}/{what}", reason): how(what)
        for what in ("cancel", "refresh")
        for reason, how in (
            ("not_askable", _about_no_job_of_ci),
            ("unknown_to_ci", _about_a_job_that_ci_forgot),
        )
    },
    **{(name, "ci_refused"): _while_ci(name, code="AccessDenied", status=403) for name in _ASK_CI},
    **{
        (name, "ci_unavailable"): _while_ci(name, code="SlowDown", status=429)
        for name in (*_ASK_CI, "POST /v1/jobs/refresh")
    },
}
"""What only some operations answer."""

OF_MANY = {*OF_ANY_BODY, "invalid_request", "unauthorized", "forbidden", "too_many_requests", "not_acceptable",
           "store_unavailable", "not_found"}  # fmt: skip
"""What the tests above, and test_keys.py, ask of every operation that lists it."""


@pytest.mark.parametrize(("operation", "reason"), HOW)
def test_each_problem_of_a_single_operation_occurs(caller: Caller, operation: str, reason: str) -> None:
    assert HOW[operation, reason](caller) == reason


def test_no_other_is_listed(caller: Caller) -> None:
    """The endpoint of callbacks has tests of its own for each: tests/receiver/test_refusals.py."""
    listed = {
        (each.name, reason) for each in caller.operations if not each.is_callback for reason in each.reasons
    }
    assert {pair for pair in listed if pair[1] not in OF_MANY} == set(HOW)
