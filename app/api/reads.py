"""GET /v1/jobs/<id> and GET /v1/jobs without Flask's contexts, which cost as much as these reads (docs/performance.md).

Only what needs nothing else is answered here: a key that may read, a job or a page that is there, no wait, no links.
Everything else, each fault too, is left to the view of the address; and what is answered here is what the view would
answer, to the last byte (``tests/api/answers/test_reads.py``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl

from flask import Flask
from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from app.api.auth import bearer_digest
from app.api.chosen.filters import JobsQuery
from app.api.jobs import etag_for
from app.api.rates import Quota, Quotas, rates_of
from app.receiver.route import Application
from app.redis.cursors import BadCursor
from app.store import UNAVAILABLE
from app.store.reading.listing import Filter
from app.web.access_log import fields_of, log_access, origin_in
from app.web.answers.negotiation import JSON, accepts
from app.web.headers import OF_DATA
from app.web.services import WebServices, of

log = logging.getLogger(__name__)

_PATH: Final = "/v1/jobs"
_QUERY_MAX: Final = 1000
"""Characters of a query that is read here."""
_JSON: Final = ("Content-Type", "application/json")


class _Answer(Struct, frozen=True):
    text: bytes
    etag: str | None = None
    is_unchanged: bool = False
    no_store: bool = False
    quota: Quota | None = None
    """The quota of the key after the request."""

    @property
    def status(self) -> int:
        return 304 if self.is_unchanged else 200

    def headers(self) -> list[tuple[str, str]]:
        found = list(OF_DATA)
        if not self.is_unchanged:
            found += _JSON, ("Content-Length", str(len(self.text)))
        if self.etag:
            found.append(("ETag", f'"{self.etag}"'))
        if self.no_store:
            found.append(("Cache-Control", "no-store"))
        if self.quota:
            found += self.quota.headers().items()
        return found


def before_views(application: Application, app: Flask) -> Application:
    """Wrap ``application``: plain reads of jobs are answered here, everything else is passed on."""

    def route(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] != "GET" or not path.startswith(_PATH):
            return application(environ, start_response)
        started = time.perf_counter()
        found = _answer(of(app), rates_of(app).keys, environ, path.removeprefix(_PATH))
        if found is None:
            return application(environ, start_response)
        origin = origin_in(environ)
        headers = [*found.headers(), ("X-Request-Id", origin.request_id)]
        start_response("304 NOT MODIFIED" if found.is_unchanged else "200 OK", headers)
        rule = _PATH if path == _PATH else f"{_PATH}/<job_id>"
        log_access("GET", rule, found.status, started, fields_of(origin))
        return [found.text]

    return route


def _answer(services: WebServices, keys: Quotas, environ: dict[str, Any], rest: str) -> _Answer | None:
    digest = bearer_digest(environ.get("HTTP_AUTHORIZATION", ""))
    if not accepts(environ.get("HTTP_ACCEPT"), JSON):
        return None  # The view refuses it.
    if digest is None or digest not in keys:
        return None  # The view looks up a key that is new here, and counts the wrong ones.
    try:
        found = _read(services, digest, environ, rest)
        quota = keys.take(digest) if found else None
    except (*UNAVAILABLE, BadCursor):
        return None  # The view answers 503 or 422.
    except Exception:
        # The view may answer all the same, and hide that each read is done twice.
        log.exception("a read failed before its view; the view answers it")
        return None
    if found is None or quota is None or quota.wait:
        return None  # The view says how long to wait.
    return replace(found, quota=quota)


def _read(services: WebServices, digest: str, environ: dict[str, Any], rest: str) -> _Answer | None:
    query = environ.get("QUERY_STRING", "")
    if not rest:
        return _page(services, digest, query)
    job_id = rest[1:]
    is_one = rest[0] == "/" and job_id and job_id.isascii() and "/" not in job_id and not query
    return _job(services, digest, job_id, environ.get("HTTP_IF_NONE_MATCH")) if is_one else None


def _page(services: WebServices, digest: str, query: str) -> _Answer | None:
    if len(query) > _QUERY_MAX or (asked := _asked(query)) is None:
        return None
    key, text = services.store.jobs.page_json(*asked, digest)
    return _Answer(text) if key and key.may("read") else None


@lru_cache(maxsize=256)
def _asked(query: str) -> tuple[Filter, int, str | None] | None:
    """Filter, limit and cursor; ``None`` for a query with a fault, or whose state CI has invented."""
    given = parse_qsl(query, keep_blank_values=True)
    values = dict(given)
    if len(values) < len(given):
        return None
    try:
        read = JobsQuery.model_validate(values, context="query")
    except ValidationError:
        return None
    return (read.wanted(), read.limit, read.cursor) if read.has_known_state else None


def _job(services: WebServices, digest: str, job_id: str, known: str | None) -> _Answer | None:
    key, stored = services.store.jobs.stored_for(digest, job_id)
    if key is None or stored is None or not key.may("read"):
        return None
    etag = etag_for(services, key, stored)
    if known == f'"{etag}"':
        # The client's document may contain links; none was made here to check.
        return _Answer(b"", etag, is_unchanged=True, no_store=key.may("links"))
    # A list of tags, or one that is compared in another way.
    if known is not None and not _is_one_tag(known):
        return None
    shown = services.store.jobs.shown(job_id, stored)
    return None if shown.linkable and key.may("links") else _Answer(shown.text, etag)


def _is_one_tag(known: str) -> bool:
    return len(known) > 1 and known[0] == known[-1] == '"' and '"' not in known[1:-1]
