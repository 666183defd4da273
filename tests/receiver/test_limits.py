"""Limits of one callback URL: past them no body is read and no callback is stored; CI is asked instead."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.core.tokens import Binding
from app.services import Services
from app.settings import Settings
from app.settings.callback_limits import CallbackLimits
from app.store.accept.news import UrlLimit
from app.store.submissions.submissions import Submission, deadline_after
from app.web.usage import UrlUsage
from harness.servers import Web, free_port
from tests.callbacks import body, new_job_id, path
from tests.store.said import said, tell


@pytest.fixture
def few(settings: Settings) -> Settings:
    """Limits that a test reaches."""
    limits = CallbackLimits(submission_per_minute=5, console_per_minute=5, submission_bytes=8000)
    return settings.model_copy(update={"callback_limits": limits})


@pytest.fixture
def client(few: Settings) -> FlaskClient:
    return create_app(few).test_client()


def _until_refused(client: FlaskClient, url: str, job_id: str) -> int:
    """The number of callbacks accepted before the first 429; a new minute may begin in between."""
    for count in range(12):
        answer = client.post(url, data=body(job_id))
        if answer.status_code == 429:
            assert 0 < int(answer.headers["Retry-After"]) <= 60
            assert answer.get_json()["reason"] == "too_many_callbacks"
            return count
        assert answer.status_code == 200
    raise AssertionError("never refused")


def _submit(services: Services, job_id: str) -> str:
    at = "2022-06-27T07:23:10Z"
    services.store.submissions.create(
        Submission("s1", "sending", at, deadline_after(60), "own", "demo", "here")
    )
    tell(services.store, said(job_id, "Submitted"), source="submit", submission="s1")
    return path(services.settings, Binding(submission="s1"))


def test_a_submissions_url_is_refused_beyond_its_limit_and_ci_is_asked(
    client: FlaskClient, services: Services
) -> None:
    """Refused callbacks are not stored; other URLs are not limited."""
    job_id = new_job_id()
    url = _submit(services, job_id)
    services.store.due.end(job_id)
    assert _until_refused(client, url, job_id) >= 5
    kept = services.store.jobs.history(job_id)[1]
    assert client.post(url, data=body(job_id)).status_code == 429
    assert services.store.jobs.history(job_id)[1] == kept
    assert services.store.due.take(10, 60) == [job_id]
    assert client.post(path(services.settings), data=body(new_job_id())).status_code == 200


def test_a_console_url_is_refused_beyond_its_limit_and_cis_list_will_be_read(
    client: FlaskClient, services: Services
) -> None:
    """The flood is stored under the URL's fingerprint, with the time at which it ends."""
    assert _until_refused(client, path(services.settings, Binding(name="console")), new_job_id()) >= 5
    assert services.store.db.client.zcard(services.store.db.key("flooded")) == 1


def test_a_callback_refused_for_its_content_counts(client: FlaskClient, services: Services) -> None:
    """Broken bodies count like valid ones."""
    url = path(services.settings)
    codes = [client.post(url, data=b"{").status_code for _ in range(12)]
    assert codes[0] == 400
    assert codes[-1] == 429


def test_bytes_of_a_submission_are_limited(client: FlaskClient, services: Services) -> None:
    """The sum counts, over any time."""
    job_id = new_job_id()
    url = _submit(services, job_id)
    codes = [client.post(url, data=body(job_id, Message=str(n) * 1500)).status_code for n in range(4)]
    assert codes == [200, 200, 429, 429]


def test_the_refusal_comes_before_the_body(few: Settings, valkey: object, tmp_path: object) -> None:
    """429 is sent although most of the body has not arrived."""
    with Web(few, free_port(), tmp_path, WEB_CONCURRENCY="1") as web:  # type: ignore[arg-type]
        url = path(few)
        for _ in range(12):
            with socket.create_connection(("127.0.0.1", urlsplit(web.url).port or 0), timeout=10) as raw:
                head = f"POST {url} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
                content = body(new_job_id())
                raw.sendall(head.replace("900000", str(len(content))).encode() + content)
                assert raw.recv(12)
        with socket.create_connection(("127.0.0.1", urlsplit(web.url).port or 0), timeout=10) as raw:
            raw.sendall(head.encode() + b" " * 70_000)
            assert raw.recv(12) == b"HTTP/1.1 429"


def test_the_memory_of_a_process_is_bounded() -> None:
    """However many URLs are over their limits: the newest are remembered."""
    usage = UrlUsage()
    for n in range(20_000):
        usage.refuse(str(n), 3600)
    assert usage.count("0", UrlLimit(per_minute=1, runs=20)) == 0
    assert usage.count("19999", UrlLimit(per_minute=1, runs=20)) > 0
