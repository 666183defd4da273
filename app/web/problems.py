"""All errors that a caller can get, in one table, reported as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import logging
from json import dumps
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from app.store import UNAVAILABLE, Unavailable

log = logging.getLogger(__name__)

# reason: status, title. ``docs/problems.md`` and the OpenAPI document are made of this table.
PROBLEMS: dict[str, tuple[int, str]] = {
    "bad_token": (403, "The token in the callback URL was not signed by this service"),
    "expired_token": (403, "The token in the callback URL has expired"),
    "revoked_token": (403, "The token in the callback URL was revoked"),
    "ip_not_allowed": (403, "Callbacks from this IP address are not allowed"),
    "binding_mismatch": (403, "The payload does not match the binding of its token"),
    "body_too_large": (413, "The body is too large"),
    "slow_body": (408, "The body took too long to arrive"),
    "unsupported_media_type": (415, "The body is neither XML nor JSON"),
    "content_encoding": (415, "The body has a Content-Encoding; send it unencoded"),
    "empty_body": (400, "The body is empty"),
    "incomplete_body": (400, "The body ended early"),
    "malformed_xml": (400, "The body is not well-formed XML"),
    "malformed_json": (400, "The body is not valid JSON"),
    "forbidden_xml": (400, "The XML contains a DTD or an entity"),
    "too_many_callbacks": (429, "This callback URL has exceeded its limits"),
    "too_complex": (400, "The body is nested too deeply or has too many elements"),
    "not_a_callback": (400, "The body is not a callback of CI"),
    "bad_job_id": (400, "The callback names no usable job"),
    "store_unavailable": (503, "Storage is unavailable; retry later"),
    "unauthorized": (401, "A valid API key is required"),
    "too_many_requests": (429, "The API key, or the address, has exceeded its rate"),
    "forbidden": (403, "The API key lacks the required scope"),
    "forged_form": (403, "The form was not made by this session"),
    "not_found": (404, "Not found"),
    "unknown_lane": (404, "There is no such lane"),
    "unknown_handler": (404, "No handler or endpoint has that name"),
    "not_acceptable": (406, "No media type that the caller accepts can be answered"),
    "method_not_allowed": (405, "Method not allowed at this URL"),
    "invalid_request": (422, "The request violates validation rules"),
    "bad_request": (400, "The request cannot be understood"),
    "address_too_long": (414, "The URL is too long"),
    "expectation_failed": (417, "The Expect header cannot be satisfied"),
    "head_too_large": (431, "The request headers are too large"),
    "idempotency_mismatch": (422, "This Idempotency-Key was already used with a different body"),
    "idempotency_in_flight": (409, "A request with this Idempotency-Key is still in progress"),
    "not_doubted": (409, "This job has no doubt to settle"),
    "not_retryable": (409, "Only part of the body was stored, so the refusal cannot be retried"),
    "unknown_to_ci": (409, "CI does not know this job"),
    "not_askable": (409, "CI cannot be asked about this"),
    "budget_spent": (429, "The budget of jobs for this day is spent"),
    "ci_refused": (502, "CI rejected the request"),
    "ci_unavailable": (503, "CI is unreachable or throttling; retry later"),
    "too_many_waiting": (503, "Too many waiting clients in this process; retry later"),
    "internal": (500, "Internal server error"),
}


class Problem(Exception):
    """Ends a request. ``detail`` says what is wrong and what to do next; ``members`` are added to the document."""

    def __init__(self, reason: str, detail: str, *, retry_after: int | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.members = members
        self.retry_after = retry_after

    def answer(self) -> tuple[int, str, list[tuple[str, str]]]:
        """Status, document, headers."""
        status, text = document(self.reason, self.detail, **self.members)
        headers = [("Content-Type", "application/problem+json")]
        if self.retry_after is not None:
            headers.append(("Retry-After", str(self.retry_after)))
        if status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        return status, text, headers

    def response(self) -> Response:
        status, text, headers = self.answer()
        return current_app.response_class(text, status, headers)


def document(reason: str, detail: str, **members: Any) -> tuple[int, str]:
    """The status of a problem, and its document as JSON."""
    status, title = PROBLEMS[reason]
    return status, dumps(
        {
            "type": f"/problems/{reason}",
            "title": title,
            "status": status,
            "reason": reason,
            "detail": detail,
            **members,
        }
    )


_BY_STATUS = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
}


def _from_http(error: HTTPException) -> Response:
    reason = _BY_STATUS.get(error.code or 500, "bad_request" if (error.code or 500) < 500 else "internal")
    answer = Problem(reason, error.description or "").response()
    answer.headers.extend(
        (name, value) for name, value in error.get_headers() if name in {"Allow", "Retry-After"}
    )
    return answer


def problem_of(error: Exception, where: str | None) -> Problem:
    """The problem for an unexpected error; the log has the error itself."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, (*UNAVAILABLE, Unavailable)):
        if isinstance(error, Unavailable):
            log.warning("%s failed because Redis is unavailable: %s", where, error)
        return Problem("store_unavailable", "Redis is unavailable. Try again later.", retry_after=5)
    log.error("unhandled %s in %s", type(error).__name__, where, exc_info=error)
    return Problem("internal", "The error was logged. Try again; if it persists, contact the operator.")


def _from_error(error: Exception) -> Response:
    return problem_of(error, request.endpoint).response()


def init_app(app: Flask) -> None:
    """Answer every error of every view with a problem document, never with a stack trace."""
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(Exception, _from_error)

    @app.get("/problems/<reason>")
    def problem(reason: str) -> dict[str, Any]:
        if reason not in PROBLEMS:
            raise Problem("not_found", f"There is no problem called {reason[:40]!r}.")
        status, title = PROBLEMS[reason]
        return {"type": f"/problems/{reason}", "title": title, "status": status, "reason": reason}
