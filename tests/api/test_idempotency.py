"""``Idempotency-Key``: the same request sent twice is done once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from harness.servers import Emulator, Valkey, Web, free_port
from harness.settings import make_settings
from tests.e2e.test_loop import REQUEST

BUCKET = "once-1250000000"


@pytest.fixture(scope="module")
def web(valkey: Valkey, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Two processes: what one has begun the other must know."""
    settings = make_settings(valkey.url, ci_endpoint=emulator.url, cos_bucket=BUCKET)
    with Web(settings, free_port(), tmp_path_factory.mktemp("once"), WEB_CONCURRENCY="2") as running:
        yield running


def submit(web: Web, idempotency_key: str, key: str | None = None, **changes: Any) -> requests.Response:
    headers = {"Idempotency-Key": idempotency_key} | ({"Authorization": f"Bearer {key}"} if key else {})
    return web.call("POST", "/v1/jobs", json={**REQUEST, **changes}, headers=headers)


def submits(web: Web) -> int:
    """The number of submits that CI has received."""
    url = f"{web.settings.ci_endpoint}/_emulator/requests?endpoint=submit&bucket={BUCKET}"
    return len(requests.get(url, timeout=10).json()["requests"])


def arm(web: Web, kind: str, **more: Any) -> None:
    spec = {"kind": kind, "on": "submit", "bucket": BUCKET, "times": 1, **more}
    assert requests.post(f"{web.settings.ci_endpoint}/_emulator/faults", json=spec, timeout=10).ok


def test_the_same_request_gets_the_same_answer(web: Web) -> None:
    """Whichever process answers: one job, the first answer with its Location, and a header that says so."""
    before = submits(web)
    answers = [submit(web, "same") for _ in range(12)]
    assert submits(web) == before + 1
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    replayed = ["Idempotent-Replayed" in answer.headers for answer in answers]
    assert replayed == [False] + [True] * 11


def test_another_body_under_the_same_key_is_refused(web: Web) -> None:
    """Even in a space: the body is compared as it was sent."""
    assert submit(web, "other").status_code == 201
    before = submits(web)
    answer = submit(web, "other", user_data="order-43")
    assert (answer.status_code, answer.json()["reason"]) == (422, "idempotency_mismatch")
    assert submits(web) == before


def test_one_in_flight_is_409(web: Web) -> None:
    """Many at once, on two processes: exactly one is sent to CI, the others get 409."""
    arm(web, "slow", seconds=3)
    before = submits(web)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: submit(web, "flight"), range(10)))
    assert submits(web) == before + 1
    # On a busy machine some may come after the first was answered.
    codes = [answer.status_code for answer in answers if "Idempotent-Replayed" not in answer.headers]
    assert codes.count(201) == 1
    assert codes.count(409) == len(codes) - 1 > 0
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["reason"] == "idempotency_in_flight"
            assert int(answer.headers["Retry-After"]) > 0
    assert submit(web, "flight").status_code == 201


def test_a_refusal_is_not_kept(web: Web) -> None:
    """A request that broke a rule, or that CI refused, may be repeated under the same key."""
    assert submit(web, "again", output={}).status_code == 422
    arm(web, "error", code="AccessDenied", status=403)
    assert submit(web, "again").status_code == 502
    assert submit(web, "again").status_code == 201


def test_a_lost_answer_is_kept(web: Web) -> None:
    """CI may have the job: the same key must not pay for it twice."""
    arm(web, "lost_answer")
    before = submits(web)
    first = submit(web, "lost")
    assert first.status_code == 202
    assert first.headers["Location"].startswith("/v1/submissions/")
    again = submit(web, "lost")
    assert (again.status_code, again.text) == (202, first.text)
    assert submits(web) == before + 1


def test_keys_belong_to_the_api_key(web: Web) -> None:
    """Two callers may use the same Idempotency-Key."""
    other = web.services.store.api_keys.create("other", frozenset({"submit"}))
    first, second = submit(web, "mine"), submit(web, "mine", key=other)
    assert first.json()["job_id"] != second.json()["job_id"]


@pytest.mark.parametrize("word", ["a:b", "*", "x" * 4000, "é".encode().decode("latin-1"), "{}", "' OR 1=1"])
def test_any_text_is_accepted_as_the_token(web: Web, word: str) -> None:
    first = submit(web, word)
    assert first.status_code == 201
    assert submit(web, word).text == first.text


def test_without_a_key_every_request_counts(web: Web) -> None:
    assert submit(web, "").json()["job_id"] != submit(web, "").json()["job_id"]
