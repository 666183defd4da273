"""The introduction of the OpenAPI document, and the groups of its operations."""

from __future__ import annotations

from typing import Final

INTRODUCTION: Final = """A receiver of callbacks of Tencent Cloud Infinite (CI): it verifies and normalizes them, stores
them before it answers, runs handlers, and answers how a job is.

**Keys.** Send `Authorization: Bearer <key>`; `flask keys create NAME --scope read,submit` makes one. Scopes are `read`,
`links` (presigned links to outputs), `submit` and `admin`, which includes the others.

**Pages.** Lists are newest first. Send `next_cursor` as `cursor` for the next page; a page may be short, and only
`"next_cursor": null` is the end. A filter that a list does not know is refused.

**Errors** are `application/problem+json` (RFC 9457). `reason` is one machine word, `detail` says what to do next, and
`errors` names every fault of a request. Besides those listed, any operation may answer 500 `internal`.

**Rates.** `RateLimit` and `RateLimit-Policy` say what a key has left (API_RATE). Beyond it the answer is 429 with
`Retry-After`. An address may send ten wrong keys a minute.

**Waiting.** `GET /v1/jobs/{job_id}?wait=30` answers when the job has ended, or after 30 seconds. `GET /v1/events` is a
stream of server-sent events that resumes from `Last-Event-ID`."""

GROUPS: Final = {
    "Jobs": "Submit jobs, look them up, wait for them, cancel them.",
    "History": "What happened to a job: each entry, its bytes, and its events as they happen.",
    "Failures": "Runs of handlers and deliveries that are out of tries.",
    "Refusals": "Callbacks that were refused although their token was good.",
    "Operation": "Lanes, endpoints, counts and the audit list, for operators.",
    "Callbacks": "What CI calls.",
}

_BY_PATH: Final = (
    ("/callbacks", "Callbacks"),
    ("/v1/failures", "Failures"),
    ("/v1/refusals", "Refusals"),
    ("/v1/jobs/{job_id}/events", "History"),
    ("/v1/events", "History"),
    ("/v1/jobs", "Jobs"),
    ("/v1/submissions", "Jobs"),
    ("/", "Operation"),
)


def group_of(path: str) -> str:
    return next(tag for beginning, tag in _BY_PATH if path.startswith(beginning))
