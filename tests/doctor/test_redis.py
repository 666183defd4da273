"""What doctor reports about Redis: availability, durability, memory and rights."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from app.doctor import redis as redis_checks
from app.services import Services
from app.settings import Settings
from harness.servers import Valkey, free_port
from tests.cli.submit.conftest import Flask
from tests.doctor.found import findings
from tests.store.said import said, tell


def test_redis_away(flask: Flask) -> None:
    """The other checks go on."""
    found = findings(flask, redis_url=f"redis://127.0.0.1:{free_port()}")
    assert found["Redis"]["level"] == "fail"
    assert "REDIS_URL" in found["Redis"]["todo"]
    assert found["CI"]["level"] == "ok"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"redis_mode": "cluster"}, "cluster"),
        ({"role": "slave"}, "slave"),
        ({"redis_version": "6.0.9", "valkey_version": None}, "too old"),
        ({"aof_last_write_status": "err"}, "failed"),
    ],
)
def test_a_redis_that_would_lose_jobs(changes: dict[str, Any], word: str, services: Services) -> None:
    """Each case changes one value of what a real server reports."""
    info: dict[str, Any] = services.store.db.client.info() | changes
    found = [*redis_checks._kind(info), *redis_checks._persistence(info), *redis_checks._memory(info)]
    assert any(word in one.said and one.todo for one in found if one.level != "ok")


@pytest.mark.parametrize(
    ("options", "what", "level", "words"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "Redis eviction", "fail", "noeviction"),
        (("--appendonly", "no"), "Redis persistence", "warn", "appendonly yes"),
        (("--appendfsync", "everysec"), "Redis appendfsync", "warn", "appendfsync always"),
        (("--maxmemory", "{near}"), "Redis memory", "warn", "maxmemory"),
    ],
    ids=["evicting", "without a file", "everysec", "near its limit"],
)
def test_a_server_that_is_configured_to_lose_jobs(
    options: tuple[str, str], what: str, level: str, words: str, flask: Flask, valkey: Valkey, tmp_path: Path
) -> None:
    """A real server with that one option wrong, and what to set instead."""
    used = Redis.from_url(valkey.url).info("memory")["used_memory_startup"]
    name, value = options
    with Valkey(tmp_path, name, value.format(near=int(used * 1.15))) as server:
        found = findings(flask, redis_url=server.url)[what]
    assert (found["level"], words in found["todo"]) == (level, True), found


@pytest.mark.parametrize("cap", ["jobs_max", "outbox_max"])
@pytest.mark.parametrize(("most", "level"), [(20, "ok"), (6, "warn"), (5, "fail")])
def test_caps_are_reported_before_they_are_reached(
    flask: Flask, services: Services, cap: str, most: int, level: str
) -> None:
    """The finding has the number and the cap."""
    for n in range(5):
        tell(services.store, said(f"j{n}", "Running"))
    found = findings(flask, **{cap: most})[cap.upper()]
    assert (found["level"], found["said"]) == (level, f"5 of {most}")


@pytest.mark.parametrize(
    ("rules", "what", "level", "word"),
    [
        ("~* &* +@all -info", "Redis", "warn", "may not use INFO"),
        ("~* &* +@all -config", "Redis appendfsync", "warn", "CONFIG GET"),
        ("~ci:* +@all", "Redis rights", "fail", "~rq:*"),
        ("~* &* +@all -xadd", "Redis rights", "fail", "+xadd"),
        ("~* &* +@all", "Redis rights", "ok", "nothing is missing"),
        ("~* &* +@all", "Redis appendfsync", "warn", "everysec"),
    ],
)
def test_missing_rights_of_a_redis_user(
    rules: str, what: str, level: str, word: str, flask: Flask, settings: Settings, valkey: Valkey
) -> None:
    """A right that the service needs is a failure; one that only doctor needs is a warning."""
    user = f"u{secrets.token_hex(6)}"
    Redis.from_url(valkey.url).execute_command("ACL", "SETUSER", user, "on", ">p", *rules.split())  # type: ignore[no-untyped-call]
    url = valkey.url.replace("unix://", f"unix://{user}:p@")
    found = findings(flask, redis_url=url, key_prefix="ci:" if "ci:" in rules else settings.key_prefix)
    assert (found[what]["level"], word in found[what]["said"]) == (level, True), found


def test_a_wrong_password_is_named(flask: Flask, valkey: Valkey) -> None:
    found = findings(flask, redis_url=valkey.url.replace("unix://", "unix://unknown:wrong@"))["Redis"]
    assert (found["level"], "WRONGPASS" in found["said"]) == ("fail", True)


def test_a_missing_password_is_named(flask: Flask, tmp_path: Path) -> None:
    with Valkey(tmp_path, "--requirepass", "x") as locked:
        found = findings(flask, redis_url=locked.url)["Redis"]
    assert (found["level"], "NOAUTH" in found["said"]) == ("fail", True)
