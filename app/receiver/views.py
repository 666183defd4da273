"""POST /callbacks/<token>: is it from CI, what does it say, is it news? It is answered once it is stored."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from msgspec import Struct
from msgspec.json import encode
from pydantic import BaseModel

from app.core import traces
from app.core.logs import begin_about
from app.core.logs.origin import Origin
from app.core.tokens import NO_BINDING, Binding, bare, fingerprint
from app.metrics import counted
from app.receiver.address import caller
from app.receiver.keep import REFUSED_BY_STORE, keep_refusal
from app.receiver.limits import check_usage
from app.receiver.received import ReceivedCallback, as_refusal
from app.receiver.take import Result, take, understand
from app.receiver.verify import check_address, check_expiry, check_revoked, check_token
from app.web.access_log import Fields, fields_of, origin_in
from app.web.body import Unfinished, most_bytes, read_body
from app.web.problems import Problem, problem_of
from app.web.services import WebServices, services

blueprint = Blueprint("receiver", __name__)

CALLBACK_PROBLEMS = (
    "bad_token", "expired_token", "revoked_token", "ip_not_allowed", "body_too_large", "content_encoding",
    "unsupported_media_type", "empty_body", "incomplete_body", "slow_body", "malformed_xml", "forbidden_xml",
    "malformed_json", "too_complex", "not_a_callback", "bad_job_id", "binding_mismatch", "store_unavailable",
    "too_many_callbacks", "internal",
)  # fmt: skip
"""Every reason for which a callback is refused."""


class Results(BaseModel):
    """One for each job, in order; none for a probe."""

    results: list[Result]


_LOGGED = 20
"""Jobs of one callback that its log line names, at most."""


class CallbackAnswer(Struct):
    """The answer, and the fields of its line in the access log."""

    status: int
    text: bytes
    headers: list[tuple[str, str]]
    log_fields: Fields


@blueprint.post("/callbacks/<anything:token>")
def callback(token: str) -> Response:
    """Store one callback: one or more JobsDetail, all or nothing.

    400, 403, 413 and 415 mean that it will never be accepted, 503 that CI should retry. Our own failures never give a
    4xx.
    """
    answer = answer_callback(services(), request.environ, token)
    g.log_fields = answer.log_fields
    return current_app.response_class(answer.text, answer.status, answer.headers)


def answer_callback(web: WebServices, environ: dict[str, Any], token: str) -> CallbackAnswer:
    """The answer to a callback (WSGI) with that token, whatever happens."""
    began = time.perf_counter()
    origin = origin_in(environ)
    with traces.span("callback", "server", origin.traceparent) as step:
        if step.traceparent:
            origin = origin._replace(traceparent=step.traceparent)
        answer = _answer(web, environ, bare(token), origin)
        step.tell({**answer.log_fields, "status": answer.status})
    counted.ACCEPT_SECONDS.observe(time.perf_counter() - began)
    return answer


def _answer(web: WebServices, environ: dict[str, Any], token: str, origin: Origin) -> CallbackAnswer:
    token_id = fingerprint(token)
    fields: Fields = fields_of(origin) | {"token": token_id}
    begin_about(origin)
    try:
        results = _results(web, environ, token, token_id, origin, fields)
        text, headers = encode({"results": results}), [("Content-Type", "application/json")]
        answer = CallbackAnswer(200, text, headers, fields)
    except Exception as error:
        status, document, headers = problem_of(error, "callback").answer()
        answer = CallbackAnswer(status, document.encode(), headers, fields)
    answer.headers.append(("X-Request-Id", origin.request_id))
    return answer


def _results(
    web: WebServices, environ: dict[str, Any], token: str, token_id: str, origin: Origin, fields: Fields
) -> list[Result]:
    """The outcome of each job. Raises ``Problem``. ``fields`` are added to the line in the access log."""
    try:
        binding = check_token(token, web.settings)
        check_revoked(token_id, web.settings)
        check_usage(web, binding, token_id)
    except Problem as problem:
        _count(problem, fields)
        raise
    received = ReceivedCallback(binding, token_id, environ.get("CONTENT_TYPE", ""), origin=origin)
    try:
        _receive(web, environ, received)
        results = take(web, received)
    except Exception as error:
        # A fault of ours too: the callback may be right, and CI may not send it again.
        raise _refused(web, received, problem_of(error, "callback"), fields) from None
    finally:
        if received.job_ids:
            fields["job_ids"] = received.job_ids[:_LOGGED]
        if received.event_ids:
            fields["event_ids"] = received.event_ids[:_LOGGED]
    fields["outcomes"] = [each.outcome for each in results[:_LOGGED]]
    return results


def _receive(web: WebServices, environ: dict[str, Any], received: ReceivedCallback) -> None:
    """Read the body. A callback refused for its URL or its sender is read too, because a person may retry it."""
    objection = _objection(web, environ, received.binding)
    most = web.settings.max_body
    try:
        with web.usage.reading(received.token, most_bytes(environ, most)):
            received.body = read_body(environ, most)
        received.whole = True
    except Problem as problem:
        received.body = problem.read if isinstance(problem, Unfinished) else b""
        raise objection or problem from None
    if objection:
        with suppress(Problem):
            understand(received, web.settings)
        raise objection


def _objection(web: WebServices, environ: dict[str, Any], binding: Binding) -> Problem | None:
    try:
        check_expiry(binding, web.settings)
        if "ip" in web.settings.verify:
            check_address(_caller(web, environ), web.settings)
    except Problem as problem:
        return problem
    return None


def _caller(web: WebServices, environ: dict[str, Any]) -> Any:
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
    return caller(environ.get("REMOTE_ADDR"), forwarded, web.settings.trusted_proxies)


def _refused(web: WebServices, received: ReceivedCallback, problem: Problem, fields: Fields) -> Problem:
    """The problem to answer with. The callback may have been right: it is kept and CI is asked, except for a revoked
    token, and if the caller is to send it again."""
    is_signed = received.binding != NO_BINDING
    if is_signed and problem.reason != "revoked_token" and problem.retry_after is None:
        refusal = as_refusal(received, problem)
        kept = keep_refusal(web, refusal)
        if kept == "revoked":
            problem = Problem("revoked_token", REFUSED_BY_STORE["revoked_token"])
        elif kept:
            fields["refusal"] = refusal.id
    _count(problem, fields)
    return problem


def _count(problem: Problem, fields: Fields) -> None:
    counted.REFUSALS.labels(problem.reason).inc()
    fields["reason"] = problem.reason
