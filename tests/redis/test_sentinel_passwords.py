"""Sentinels that want a password: REDIS_URL has it, and one that is missing or wrong is called that."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from redis import Redis

from app.doctor import preflight
from app.redis.connection import connect
from app.redis.outage import SentinelRefused, cause
from app.store import UNAVAILABLE, Store
from harness.servers import ROOT, as_environment
from harness.settings import make_settings
from tests.redis.test_sentinel import Sentinel, Server

PASSWORD, USER = "the-password-of-sentinels", "watcher"


class Locked(Sentinel):
    """One that answers no client without a password."""

    def start(self) -> None:
        super().start()
        self.client.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", "+@all", "&*")  # type: ignore[no-untyped-call]

    def lock(self) -> None:
        self.client.execute_command("ACL", "SETUSER", "default", "resetpass", f">{PASSWORD}")  # type: ignore[no-untyped-call]
        self.client = Redis("127.0.0.1", self.port, password=PASSWORD)


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "primary") as running:
        yield running


@pytest.fixture
def sentinels(tmp_path: Path, primary: Server) -> Iterator[list[Locked]]:
    with Locked(tmp_path / "one") as one, Locked(tmp_path / "two") as two:
        for each in (one, two):
            each.name(primary.port)
            each.lock()
        yield [one, two]


def url(sentinels: list[Locked], query: str = "") -> str:
    hosts = ",".join(f"127.0.0.1:{each.port}" for each in sentinels)
    return f"redis+sentinel://{hosts}/chaos{query}"


@pytest.mark.parametrize(
    "query", [f"?sentinel_password={PASSWORD}", f"?sentinel_username={USER}&sentinel_password={PASSWORD}"]
)
def test_sentinels_with_passwords_name_the_primary(
    query: str, sentinels: list[Locked], primary: Server
) -> None:
    """With a password alone, and with a user's; those of the servers stay their own."""
    store = Store.open(url(sentinels, query), "t:", timeout=2)
    store.presence.probe()
    assert store.db.client.info("server")["tcp_port"] == primary.port
    Redis("127.0.0.1", primary.port).execute_command("ACL", "SETUSER", "me", "on", ">p", "~*", "&*", "+@all")  # type: ignore[no-untyped-call]
    both = url(sentinels, query).replace("redis+sentinel://", "redis+sentinel://me:p@")
    assert connect(both, timeout=2).execute_command("ACL", "WHOAMI") == b"me"  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("", "NOAUTH"),
        ("?sentinel_password=wrong", "WRONGPASS"),
        ("?sentinel_username=x&sentinel_password=y", "WRONGPASS"),
    ],
)
def test_a_password_that_is_missing_or_wrong_is_called_that(
    query: str, word: str, sentinels: list[Locked]
) -> None:
    """Not that there is no primary; and it counts as an outage: callbacks go to the spool."""
    with pytest.raises(SentinelRefused) as refused:
        connect(url(sentinels, query), timeout=2).ping()
    assert isinstance(refused.value, UNAVAILABLE)
    assert word in cause(refused.value) and "sentinel_" in cause(refused.value)
    assert "wrong" not in str(refused.value).replace("WRONGPASS", "")


def test_a_start_says_it(sentinels: list[Locked]) -> None:
    """Once, and goes on."""
    done = subprocess.run(
        [sys.executable, "-m", "app.doctor.preflight"],
        cwd=ROOT,
        env=as_environment(make_settings(url(sentinels))),
        capture_output=True,
        timeout=300,
        check=False,
    )
    said = done.stderr.decode()
    assert (done.returncode, said.count("NOAUTH")) == (0, 1), said
    preflight.check_start(make_settings(url(sentinels, f"?sentinel_password={PASSWORD}")))


@pytest.mark.parametrize("query", ["?sentinel_pasword=x", "?password=x", "?sentinel_password=x&db=1"])
def test_what_an_address_of_sentinels_takes(query: str) -> None:
    """A name that is mistyped would be a password that is not sent."""
    with pytest.raises(ValidationError, match="sentinel_password"):
        make_settings(f"redis+sentinel://a:1,b:2/chaos{query}")
