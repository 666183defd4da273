"""How often a key, or an address with wrong keys, may call; what lies beyond is 429 and costs no round trip."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from app import create_app
from app.api import rates
from app.api.rates import WRONG_KEYS, Quotas
from app.settings import Settings
from app.settings.rates import Rate
from app.store import Store


@dataclass
class Clock:
    """Time that passes only when a test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def app(settings: Settings) -> Flask:
    """Three requests a key, and the next after an hour: no test is slow enough to see it refilled."""
    return create_app(settings.model_copy(update={"api_rate": Rate(1, 3600, 3)}))


def test_a_key_beyond_its_rate_gets_429_and_another_key_does_not(client: FlaskClient, store: Store) -> None:
    """The problem has Retry-After, and each answer the RateLimit headers of the draft."""
    one, other = ({"Authorization": f"Bearer {store.api_keys.create(n, frozenset({'read'}))}"} for n in "ab")
    answers = [client.get("/v1/jobs", headers=one) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers] == [
        f'"key";r={left}' for left in (2, 1, 0, 0)
    ]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"key";q=3;w=10800'}
    assert answers[3].json["reason"] == "too_many_requests"  # type: ignore[index]
    assert "API_RATE" in answers[3].json["detail"]  # type: ignore[index]
    assert 0 < int(answers[3].headers["Retry-After"]) <= 3600
    assert client.get("/v1/jobs", headers=other).status_code == 200


def test_an_address_with_too_many_wrong_keys_gets_429_without_a_lookup(
    client: FlaskClient, store: Store
) -> None:
    """The eleventh wrong key is not looked up; another address is not concerned."""
    for guess in range(WRONG_KEYS.burst):
        assert client.get("/v1/jobs", headers=_bearer(f"guess{guess}")).status_code == 401
    before = _lookups(store)
    answer = client.get("/v1/jobs", headers=_bearer("one more"))
    assert (answer.status_code, answer.json["reason"]) == (429, "too_many_requests")  # type: ignore[index]
    assert int(answer.headers["Retry-After"]) > 0
    assert _lookups(store) == before
    elsewhere = client.get("/v1/jobs", headers=_bearer("x"), environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert elsewhere.status_code == 401


def test_wrong_keys_lock_out_no_key_that_is_in_use(client: FlaskClient, store: Store) -> None:
    """From one address, wrong keys get 429 while a valid key is served, until it is revoked."""
    key = _bearer(store.api_keys.create("x", frozenset({"read"})))
    assert client.get("/v1/jobs", headers=key).status_code == 200
    while client.get("/v1/jobs", headers=_bearer("guess")).status_code == 401:
        pass
    assert client.get("/v1/jobs", headers=key).status_code == 200
    store.api_keys.revoke("x")
    assert [client.get("/v1/jobs", headers=key).status_code for _ in range(2)] == [401, 429]


def test_guesses_at_the_sign_in_count_with_those_at_the_api(client: FlaskClient) -> None:
    """Wrong keys in the sign-in form and in the API have one limit."""

    def guess() -> int:
        proof = re.findall(r'name="csrf" value="([0-9a-f]+)"', client.get("/login").text)[0]
        return client.post("/login", data={"csrf": proof, "key": "guess"}).status_code

    assert client.get("/v1/jobs", headers=_bearer("guess")).status_code == 401
    assert [guess() for _ in range(WRONG_KEYS.burst)] == [403] * (WRONG_KEYS.burst - 1) + [429]


def test_a_request_without_a_key_is_no_guess(client: FlaskClient) -> None:
    """It is 401 however often it is sent."""
    assert {client.get("/v1/jobs").status_code for _ in range(WRONG_KEYS.burst + 5)} == {401}


def test_behind_a_declared_proxy_the_client_is_counted(settings: Settings) -> None:
    """Without a declared proxy, X-Forwarded-For changes nothing."""
    for proxies, last in (((), 429), ((ip_network("127.0.0.0/8"),), 401)):
        declared = settings.model_copy(update={"trusted_proxies": proxies})
        client = create_app(declared).test_client()
        codes = [
            client.get("/v1/jobs", headers=_bearer("x") | {"X-Forwarded-For": f"198.51.100.{n}"}).status_code
            for n in range(WRONG_KEYS.burst + 1)
        ]
        assert codes == [401] * WRONG_KEYS.burst + [last]


def test_addresses_of_one_ipv6_network_share_a_quota(client: FlaskClient) -> None:
    """One customer gets a /64, with more addresses than anyone can count."""
    codes = [
        client.get(
            "/v1/jobs", headers=_bearer("x"), environ_base={"REMOTE_ADDR": f"2001:db8::{n:x}"}
        ).status_code
        for n in range(WRONG_KEYS.burst + 1)
    ]
    assert codes[-1] == 429


def test_callbacks_are_never_counted(client: FlaskClient) -> None:
    """CI may not repeat a refused callback, so they are not limited, even from an address that has sent wrong keys."""
    while client.get("/v1/jobs", headers=_bearer("guess")).status_code == 401:
        pass
    assert {client.post("/callbacks/bad", data=b"{}").status_code for _ in range(20)} == {403}


@given(st.integers(1, 50), st.integers(1, 20), st.lists(st.floats(0, 5), max_size=60))
def test_no_caller_gets_more_than_burst_and_rate(count: int, burst: int, pauses: list[float]) -> None:
    """Over any time t, at most burst + t * rate; and a client that waits for Retry-After is served."""
    clock = Clock()
    quotas = Quotas("key", Rate(count, 1, burst), clock)
    served, start = 0, clock.now
    for pause in pauses:
        clock.now += pause
        quota = quotas.take("a")
        served += not quota.wait
        assert served <= burst + (clock.now - start) * count + 1e-3
        if quota.wait:
            clock.now += quota.wait + 1e-6
            assert not quotas.take("a").wait
            served += 1


def test_a_process_remembers_a_bounded_number_of_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was silent longest is forgotten first."""
    monkeypatch.setattr(rates, "_MOST", 3)
    quotas = Quotas("key", Rate(1, 60, 1), Clock())
    for who in "abcad":
        quotas.take(who)
    assert (len(quotas), "a" in quotas, "b" in quotas) == (3, True, False)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _lookups(store: Store) -> int:
    stats = store.db.client.info("commandstats").get("cmdstat_hget", {"calls": 0})
    return int(stats["calls"])
