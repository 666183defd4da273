"""REVOKED_TOKENS: a token that it names is refused whatever Redis knows, without a round trip to Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.core.tokens import fingerprint
from app.settings import Settings
from app.spool.record import encode_record
from harness.servers import free_port
from harness.settings import make_settings
from tests.callbacks import body, new_job_id, outcome, path
from tests.metrics.reading import risen
from tests.store.samples import news


@pytest.fixture
def leaked(settings: Settings) -> str:
    return path(settings)


@pytest.fixture
def app(settings: Settings, leaked: str, tmp_path: Path) -> Iterator[Flask]:
    marks = frozenset({fingerprint(leaked.rpartition("/")[2])})
    made = create_app(settings.model_copy(update={"revoked_tokens": marks, "spool_dir": tmp_path / "spool"}))
    yield made
    made.extensions["services"].drainer.stop()


@pytest.mark.parametrize("text", [body("j1"), b"no callback", b"", b"x" * 2_000_000])
def test_it_is_refused_before_anything_else(text: bytes, app: Flask, leaked: str) -> None:
    """403 right after the token is read, whatever the body is; it is counted, and nothing is stored, in Redis or in the
    spool."""
    client, services = app.test_client(), app.extensions["services"]
    before = client.get("/metrics").text
    answer = client.post(leaked, data=text)
    assert (answer.status_code, answer.get_json()["reason"]) == (403, "revoked_token")
    assert services.store.refusals.newest(10) == []
    assert services.store.jobs.get("j1") is None
    assert services.spool.waiting() == 0
    assert risen(before, client.get("/metrics").text, "ci_refusals_total") == {("revoked_token",): 1}
    assert outcome(client.post(path(services.settings), data=body(new_job_id()))) == "accepted", (
        "others go on"
    )


def test_it_holds_while_redis_is_away(settings: Settings, leaked: str, tmp_path: Path) -> None:
    """No callback is spooled either."""
    away = {
        "redis_url": f"redis://127.0.0.1:{free_port()}",
        "revoked_tokens": frozenset({fingerprint(leaked.rpartition("/")[2])}),
        "spool_dir": tmp_path,
    }
    app = create_app(settings.model_copy(update=away))
    assert app.test_client().post(leaked, data=body("j1")).status_code == 403
    assert app.extensions["services"].spool.waiting() == 0
    app.extensions["services"].drainer.stop()


def test_what_was_spooled_before_it_was_named(app: Flask, leaked: str) -> None:
    """The drain refuses it: the token may have leaked earlier."""
    services, mark, job_id = app.extensions["services"], fingerprint(leaked.rpartition("/")[2]), new_job_id()
    record = encode_record(news(job_id)).replace(
        b'"token": "f00f", "bind"', f'"token": "{mark}", "bind"'.encode()
    )
    services.spool.append(record)
    services.spool.hand_over(at_once=True)
    services.drainer.step()
    assert services.store.jobs.get(job_id) is None
    assert services.store.refusals.newest(10) == []


@pytest.mark.parametrize(
    "wrong", ["https://host/callbacks/eyJrIjoiazEifQ.c2lnbmF0dXJl", "abc", "ABCDEF012345"]
)
def test_only_fingerprints_are_taken(wrong: str) -> None:
    """With a token or a URL the start fails; its message says what is expected, without the secret."""
    with pytest.raises(ValueError, match="12 hexadecimal digits") as said:
        make_settings("redis://localhost", revoked_tokens=f"0123456789ab, {wrong}")
    messages = [each["msg"] for each in said.value.errors()]  # type: ignore[attr-defined]
    assert all(wrong not in each for each in messages)
    chosen = make_settings("redis://localhost", revoked_tokens="0123456789ab, 000000000000")
    assert chosen.revoked_tokens == {"0123456789ab", "000000000000"}
