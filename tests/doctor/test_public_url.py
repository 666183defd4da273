"""What doctor finds out about PUBLIC_URL, and about callback URLs that were made by hand."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from app import create_app
from app.core.clock import now_ms, rfc3339
from app.doctor import public_url
from app.services import Services
from app.settings import Settings
from app.store import Store
from app.store.access.callback_urls import CallbackUrl
from harness.emulated import Emulated
from harness.servers import Valkey, Web, free_port
from harness.settings import make_settings
from tests.cli.submit.conftest import Flask
from tests.doctor.found import findings


def test_a_public_url_that_leads_elsewhere(flask: Flask, ci: Emulated) -> None:
    """A server answers there, but it is not this service."""
    found = findings(flask, public_url=ci.url)["PUBLIC_URL"]
    assert found["level"] == "fail"
    assert "not as this service does" in found["said"]


def test_a_public_url_that_leads_to_another_installation(
    flask: Flask, settings: Settings, valkey: Valkey, tmp_path: Path
) -> None:
    """Another installation answers: one with other keys, and one with the same keys and another Redis."""
    with Web(
        make_settings(valkey.url, callback_keys="k9:other-secret-of-the-tests-0123456789"),
        free_port(),
        tmp_path,
    ) as other:
        found = findings(flask, public_url=other.url)["PUBLIC_URL"]
        assert (found["level"], "CALLBACK_KEYS" in found["said"]) == ("fail", True)
    port = free_port()
    with Web(make_settings(valkey.url), port, tmp_path) as other:
        found = findings(flask, public_url=other.url)["PUBLIC_URL"]
        assert (found["level"], "another Redis" in found["said"]) == ("fail", True)
        found = findings(flask, public_url=other.url, redis_url=f"redis://127.0.0.1:{free_port()}")[
            "PUBLIC_URL"
        ]
        assert (found["level"], "while Redis is unavailable" in found["said"]) == ("warn", True)
    store = create_app(settings).extensions["services"].store
    assert not store.db.client.exists(store.db.key("revoked")), "doctor has left its token"


def test_a_public_url_that_ci_would_not_call(flask: Flask) -> None:
    """Private, with the real CI; and none at all is a warning only."""
    found = findings(flask, ci_endpoint=None, public_url="http://10.1.2.3")["PUBLIC_URL"]
    assert (found["level"], "private" in found["said"]) == ("fail", True)
    assert findings(flask, public_url=None)["PUBLIC_URL"]["level"] == "warn"


def test_a_callback_url_that_is_about_to_expire(flask: Flask, store: Store) -> None:
    """A warning 14 days before, with the last use and what to do; a revoked one and one of a test are left out."""
    now, day = now_ms(), 86_400_000
    for n, (name, ends, used) in enumerate(
        [("queue", 13 * day, now - day), ("late", -day, None), ("good", 15 * day, None), ("endless", None, None),
         ("gone", 2 * day, None), ("test", 60_000, None)]
    ):  # fmt: skip
        created = now if name == "test" else now - 30 * day
        store.callback_urls.add(
            CallbackUrl(f"{n:012x}", name, created=created, expires=None if ends is None else now + ends)
        )
        if used:
            store.db.client.hset(store.db.key("url", f"{n:012x}"), "used", used)
    store.refusals.revoke(f"{4:012x}")
    found = findings(flask)
    for name, level, words in (
        ("queue", "warn", ("expires", rfc3339(now - day))),
        ("late", "warn", ("has expired", "never used")),
        ("good", "ok", ("expires",)),
        ("endless", "ok", ("never expires",)),
    ):
        one = found[f"callback URL {name}"]
        assert one["level"] == level, one
        assert all(word in one["said"] for word in words), one
        assert ("--revoke" in one["todo"]) == (level == "warn")
    assert not found.keys() & {"callback URL gone", "callback URL test"}


def test_many_callback_urls_are_summed_up(flask: Flask, store: Store) -> None:
    """Those that expire first are named; the rest are counted, with those that expire soon."""
    now = now_ms()
    for n in range(25):
        store.callback_urls.add(
            CallbackUrl(f"{n:012x}", f"u{n:02}", created=1, expires=now + 86_400_000 + n * 60_000)
        )
    found = findings(flask)
    assert sum(what.startswith("callback URL u") for what in found) == 20
    assert found["callback URLs"]["level"] == "warn"
    assert found["callback URLs"]["said"] == "5 more, of which 5 expire within 14 days"


def test_a_public_url_behind_the_wrong_prefix(flask: Flask, settings: Settings, tmp_path: Path) -> None:
    """This service answers on that host, and the path is another one: doctor names the right address."""
    with Web(settings, free_port(), tmp_path) as there:
        found = findings(flask, public_url=f"{there.url}/hooks/ci")["PUBLIC_URL"]
    assert (found["level"], f"It answers at {there.url}:" in found["todo"]) == ("fail", True), found


@pytest.mark.parametrize(("address", "level"), [("10.1.2.3", "warn"), ("1.1.1.1", "ok"), (None, "fail")])
def test_a_public_name_is_looked_up(
    address: str | None, level: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is private here can be public for CI; one that is not in DNS cannot be called."""

    def answer(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if address is None:
            raise OSError("Name or service not known")
        return [(2, 1, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    found = [one.level for one in public_url._in_public_dns("ci.example.com")]
    assert (found or ["ok"]) == [level]


@pytest.mark.parametrize(
    ("url", "proxies", "level"),
    [
        ("https://ci.example.com", (), "fail"),
        ("http://ci.example.com", (), "warn"),
        ("https://ci.example.com", ("unix",), "ok"),
    ],
)
def test_ip_without_declared_proxies(
    url: str, proxies: tuple[str, ...], level: str, services: Services
) -> None:
    """With https there is a proxy, because the web process speaks no TLS: every callback would be refused."""
    chosen = services.settings.model_copy(
        update={"verify": frozenset({"ip"}), "public_url": url, "trusted_proxies": proxies}
    )
    (found,) = public_url.senders(replace(services, settings=chosen))
    assert (found.level, found.level == "ok" or "TRUSTED_PROXIES" in found.said) == (level, True)


def test_proxies_do_not_matter_unless_addresses_are_checked(services: Services) -> None:
    """By default only token and binding are checked."""
    assert list(public_url.senders(services)) == []
