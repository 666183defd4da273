"""A token in a callback URL is a secret: nothing but the URL itself holds it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from app.core.tokens import fingerprint
from harness.servers import Service, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests import raw
from tests.e2e.test_loop import REQUEST
from tests.receiver.callbacks import a_token, body, post


class Faulty(Web):
    """The web process with a fault built in."""

    application = "tests.receiver.hostile.broken:create()"


@pytest.fixture(scope="module")
def faulty(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    folder = tmp_path_factory.mktemp("faulty")
    with Faulty(make_settings(valkey.url), free_port(), folder, WEB_CONCURRENCY="1") as running:
        yield running


def everything_stored(service: Service) -> bytes:
    """All keys and values of this installation, unpacked."""
    redis: Any = service.services.store.db.client
    seen = []
    for key in redis.scan_iter(f"{service.settings.key_prefix}*".encode(), count=1000):
        kind = redis.type(key)
        readers: dict[bytes, Any] = {
            b"string": lambda k: [redis.get(k)],
            b"hash": lambda k: [part for pair in redis.hgetall(k).items() for part in pair],
            b"list": lambda k: redis.lrange(k, 0, -1),
            b"set": lambda k: list(redis.smembers(k)),
            b"zset": lambda k: redis.zrange(k, 0, -1),
            b"stream": lambda k: [str(redis.xrange(k)).encode()],
            b"none": lambda _: [],  # expired meanwhile
        }
        seen += [key, *readers[kind](key)]
    return b"\n".join(map(_unpacked, seen))


def _unpacked(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return value


def test_no_token_is_in_a_log_a_metric_an_answer_or_the_store(faulty: Faulty) -> None:
    """Valid or not, accepted or refused, also in internal errors and in gunicorn's own messages."""
    good, revoked, old = (a_token(faulty.settings) for _ in range(3))
    bent = good[:-8] + "AAAAAAAA"
    stale = a_token(faulty.settings, expires=1000)
    faulty.services.store.refusals.revoke(fingerprint(revoked))
    answers = []

    def hear(answer: requests.Response) -> None:
        answers.append(f"{answer.status_code} {answer.headers} {answer.text}")

    for token in (good, revoked, bent, stale, old):
        hear(post(faulty.url, token, body()))
        hear(post(faulty.url, token, b"<broken"))
        hear(post(faulty.url, token, body(), **{"X-Fault": "1"}))
        hear(post(faulty.url, token, body(), **{"X-Worse": "1"}))
        hear(
            post(faulty.url, token, body(), Referer=f"{faulty.url}/callbacks/{token}", Expect="100-continue")
        )
        hear(requests.get(f"{faulty.url}/callbacks/{token}", timeout=10))
        hear(requests.get(f"{faulty.url}//callbacks/{token}", timeout=10))
        hear(requests.post(f"{faulty.url}//callbacks//{token}", timeout=10))
        hear(requests.get(f"{faulty.url}/v1/jobs/{token}?{token}={token}", timeout=10))
        for line in (
            f"POST /callbacks/{token} HTTP/9.9",
            f"POST /callbacks/{token}",
            f"P\x01ST /callbacks/{token} HTTP/1.1",
            f"/callbacks/{token} POST HTTP/1.1",
            f"POST /callbacks/{token} HTTP/1.1 x",
            f"POST http://[/callbacks/{token} HTTP/1.1",
            f"POST /callbacks/{token} HTTP/1.1\r\nBad Header: /callbacks/{token}",
            f"POST /callbacks/{token}{'x' * 5000} HTTP/1.1",
            f"POST /callbacks/{token} HTTP/1.1\r\nTransfer-Encoding: {token}",
            f"POST /callbacks/{token} HTTP/1.1\r\nExpect: {token}",
            f"POST /callbacks/{token} HTTP/1.1\r\n folded: {token}",
        ):
            answer = raw.exchange(faulty.port, f"{line}\r\nHost: x\r\n\r\n".encode("latin-1"))
            answers.append(f"{answer.status} {answer.headers} {answer.body.decode('latin-1')}")
    answers.append(requests.get(f"{faulty.url}/metrics", timeout=10).text)

    log = faulty.web.text()
    assert "this went wrong at" in log, "our fault is in the log"
    assert "outside of Flask" in log
    assert fingerprint(good) in log, "and the access log says which token it was"
    said = "\n".join(answers)
    assert "Traceback" not in said
    stored = everything_stored(faulty).decode("utf-8", "replace")
    assert fingerprint(good) in stored
    for token in (good, revoked, bent, stale, old):
        signature = token.rpartition(".")[2]
        for where, text in (("log", log), ("answers", said), ("store", stored)):
            assert token not in text, where
            assert signature not in text, where


def test_an_internal_error_reveals_nothing(faulty: Faulty) -> None:
    """500 is a problem document like every other error: no traceback, no words of the exception."""
    for header in ("X-Fault", "X-Worse"):
        answer = post(faulty.url, a_token(faulty.settings), body(), **{header: "1"})
        assert (answer.status_code, answer.json()["reason"]) == (500, "internal")
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "wrong" not in answer.text
        assert "outside" not in answer.text


def test_a_submission_s_token_is_nowhere_but_at_ci(service: Service) -> None:
    """After a whole loop neither the logs of web, relay and worker nor the store know the URL that CI was given."""
    job_id = service.call("POST", "/v1/jobs", json=REQUEST).json()["job_id"]
    assert service.call("GET", f"/v1/jobs/{job_id}?wait=30").json()["terminal"]
    ci = service.settings.ci_endpoint

    def url() -> str | None:
        listed = requests.get(f"{ci}/_emulator/callbacks?job_id={job_id}&full=1", timeout=10).json()[
            "callbacks"
        ]
        return listed[0]["url"] if listed else None

    token = eventually(url, "CI's log of the callback").rpartition("/")[2]
    text = everything_stored(service).decode("utf-8", "replace")
    for process in service.processes:
        text += process.text()
    assert fingerprint(token) in text
    assert token not in text
    assert token.rpartition(".")[2] not in text


def test_a_query_can_t_carry_a_key_into_the_log(faulty: Faulty) -> None:
    """The access log has routes, not addresses."""
    requests.get(f"{faulty.url}/v1/jobs?key={faulty.key}", timeout=10)
    assert faulty.key not in faulty.web.text()
