"""``flask doctor``: what it finds in a whole installation, and in one where each part in turn is missing."""

from __future__ import annotations

import secrets
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from qcloud_cos import cos_auth
from redis import Redis

from app import create_app
from app.core.clock import now_ms, rfc3339
from app.doctor import redis as redis_checks
from app.doctor.ci import clock
from app.provider import Refused
from app.provider import clock as provider_clock
from app.provider.judge import judge
from app.provider.wire import Response
from app.settings import Settings
from app.store import Store
from app.store.access.callback_urls import CallbackUrl
from app.web.services import Services
from harness.emulated import Emulated
from harness.servers import ROOT, Service, Valkey, Web, free_port
from tests.cli.submit.conftest import Flask, command
from tests.conftest import make_settings
from tests.store.said import said, tell


def findings(flask: Flask, **changes: Any) -> dict[str, dict[str, str]]:
    """What was found, by what it is about; the worst of each."""
    found: dict[str, dict[str, str]] = {}
    order = ("ok", "warn", "fail")
    for one in flask("doctor", "--json", **changes).json["findings"]:
        before = found.get(one["what"])
        if before is None or order.index(one["level"]) > order.index(before["level"]):
            found[one["what"]] = one
    return found


def test_a_whole_installation_is_well(service: Service) -> None:
    """Every part is there: exit code 0, and each is named."""
    ran = create_app(service.settings).test_cli_runner().invoke(args=["doctor"])
    assert ran.exit_code == 0, ran.output
    for part in (
        "Redis: takes writes", "Redis persistence: append-only", "Redis eviction: noeviction", "relay: 1", "worker: ",
        "HANDLERS:", "API keys: 1", "CI: the emulator", "clock: agrees", "COS: lets", "leads here",
    ):  # fmt: skip
        assert part in ran.output
    assert "FAIL" not in ran.output


def test_what_is_missing_is_named_with_what_to_do(flask: Flask) -> None:
    """No processes, nothing at PUBLIC_URL, no API key: exit code 1, and a next step for each."""
    ran = flask("doctor")
    assert ran.code == 1
    for todo in ("python -m workers.relay", "python -m workers.worker", "flask keys create", "proxy pass"):
        assert todo in ran.out
    assert "failed" in ran.out


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
        ({"maxmemory_policy": "allkeys-lru"}, "allkeys-lru"),
        ({"aof_enabled": 0}, "no append-only file"),
        ({"aof_last_write_status": "err"}, "failed"),
        ({"used_memory": 95, "maxmemory": 100}, "95%"),
    ],
)
def test_a_redis_that_would_lose_jobs(changes: dict[str, Any], word: str, services: Services) -> None:
    """Taken from what a real server says of itself, with one thing changed."""
    info: dict[str, Any] = services.store.db.client.info() | changes
    found = [*redis_checks._kind(info), *redis_checks._persistence(info), *redis_checks._memory(info)]
    assert any(word in one.said and one.todo for one in found if one.level != "ok")


@pytest.mark.parametrize("cap", ["jobs_max", "outbox_max"])
@pytest.mark.parametrize(("most", "level"), [(20, "ok"), (6, "warn"), (5, "fail")])
def test_caps_are_told_before_they_are_reached(
    flask: Flask, services: Services, cap: str, most: int, level: str
) -> None:
    """How many there are, and of how many that may be."""
    for n in range(5):
        tell(services.store, said(f"j{n}", "Running"))
    found = findings(flask, **{cap: most})[cap.upper()]
    assert (found["level"], found["said"]) == (level, f"5 of {most}")


@pytest.mark.parametrize(
    "code", ["SecretidNotExist", "SignatureExpired", "MediaBucketUnBinded", "AccessDenied"]
)
def test_an_account_that_may_not(code: str, flask: Flask, ci: Emulated) -> None:
    """CI's own word, its request id and what to do."""
    ci.fault("error", on="queues", code=code, status=403)
    found = findings(flask)["CI"]
    assert found["level"] == "fail"
    assert code in found["said"]
    assert "request id" in found["said"]
    assert found["todo"]


def test_wrong_keys(flask: Flask) -> None:
    """Really signed with another key: CI refuses the signature."""
    found = findings(flask, cos_secret_id="nobody")["CI"]
    assert (found["level"], "SecretidNotExist" in found["said"]) == ("fail", True)


def test_results_that_may_not_be_read(flask: Flask, ci: Emulated) -> None:
    """A warning: only presigned links and checks of outputs need it."""
    ci.fault("error", on="object_head", code="AccessDenied", status=403)
    assert findings(flask)["COS"]["level"] == "warn"


def test_a_clock_that_is_wrong(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against CI's own Date header: ahead of it signatures are of the future, behind it they run out early."""
    for seconds, level in ((0, "ok"), (-30, "warn"), (-120, "fail"), (120, "warn")):
        theirs = datetime.now(UTC) + timedelta(seconds=seconds)
        monkeypatch.setattr(type(services.provider), "server_time", lambda *_, theirs=theirs: theirs)
        assert [one.level for one in clock(services)] == [level]


@pytest.mark.parametrize("seconds", [120, -3600])
def test_a_clock_that_is_wrong_is_not_called_a_wrong_key(
    seconds: int, flask: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Really signed at another time: CI refuses, and doctor names the clock, for CI and for COS, and not the keys."""
    shifted = SimpleNamespace(time=lambda: time.time() + seconds)
    monkeypatch.setattr(cos_auth, "time", shifted)
    monkeypatch.setattr(provider_clock, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    found = findings(flask)
    assert found["clock"]["level"] == "fail"
    assert ("ahead" if seconds > 0 else "behind") in found["clock"]["said"]
    for refused in (found["CI"], found["COS"]):
        assert refused["level"] == "ok" or (
            "clock" in refused["todo"] and "COS_SECRET" not in refused["todo"]
        )
    assert seconds < 0 or found["CI"]["level"] == "fail"


@pytest.mark.parametrize(
    ("status", "code", "seconds", "names_clock"),
    [
        (403, "RequestTimeTooSkewed", 3600, True),
        (401, "InvalidAuthorization", 120, True),
        (403, "InvalidAuthorization", 120, True),
        (403, "SignatureExpired", -3600, True),
        (403, "AccessDenied", 120, True),
        (403, "AccessDenied", -120, False),
        (403, "SecretidNotExist", 1, False),
        (404, "NoSuchBucket", 3600, False),
    ],
)
def test_a_refusal_is_read_with_its_date(status: int, code: str, seconds: int, names_clock: bool) -> None:
    """Wherever CI is asked: a signature that the clock has spoiled is no matter of keys or rights."""
    theirs = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds))
    answer = Response(status, {"Date": theirs}, f"<Error><Code>{code}</Code></Error>".encode())
    with pytest.raises(Refused) as refused:
        judge(answer, ())
    assert ("clock is" in refused.value.advice) == names_clock


def test_presence_is_the_server_s_time(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hosts whose clocks disagree by an hour see each other all the same."""
    services.store.presence.here("relay")
    for seconds in (3600, -3600):
        monkeypatch.setattr(time, "time", lambda s=seconds: time.monotonic() + s)
        monkeypatch.setattr(time, "time_ns", lambda s=seconds: int((time.monotonic() + s) * 1e9))
        assert services.store.presence.seen("relay") == 1
        services.store.presence.here("worker")
        assert services.store.presence.seen("worker") == 1
    services.store.db.client.zadd(services.store.db.key("presence", "relay"), {"other": 0})
    assert services.store.presence.seen("relay") == 1


def test_the_emulator_tells_its_time(settings: Settings) -> None:
    """The header is really read."""
    ours = Services.open(settings, timeout=5)
    assert [one.level for one in clock(ours)] == ["ok"]


def test_a_public_url_that_leads_elsewhere(flask: Flask, ci: Emulated) -> None:
    """Something answers there, and it is not this service."""
    found = findings(flask, public_url=ci.url)["PUBLIC_URL"]
    assert found["level"] == "fail"
    assert "not as this service does" in found["said"]


def test_a_public_url_that_leads_to_another_installation(
    flask: Flask, settings: Settings, valkey: Valkey, tmp_path: Path
) -> None:
    """It answers exactly as this service does: with other keys, or with the same keys and other jobs."""
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
def test_what_a_redis_user_may_not(
    rules: str, what: str, level: str, word: str, flask: Flask, settings: Settings, valkey: Valkey
) -> None:
    """A right that is needed and missing fails; one without which doctor cannot look is a warning that says so."""
    user = f"u{secrets.token_hex(6)}"
    Redis.from_url(valkey.url).execute_command("ACL", "SETUSER", user, "on", ">p", *rules.split())  # type: ignore[no-untyped-call]
    url = valkey.url.replace("unix://", f"unix://{user}:p@")
    found = findings(flask, redis_url=url, key_prefix="ci:" if "ci:" in rules else settings.key_prefix)
    assert (found[what]["level"], word in found[what]["said"]) == (level, True), found


def test_a_wrong_password_is_called_that(flask: Flask, valkey: Valkey) -> None:
    found = findings(flask, redis_url=valkey.url.replace("unix://", "unix://nobody:wrong@"))["Redis"]
    assert (found["level"], "WRONGPASS" in found["said"]) == ("fail", True)


def test_a_password_that_is_missing_is_called_that(flask: Flask, tmp_path: Path) -> None:
    with Valkey(tmp_path, "--requirepass", "x") as locked:
        found = findings(flask, redis_url=locked.url)["Redis"]
    assert (found["level"], "NOAUTH" in found["said"]) == ("fail", True)


def test_a_public_url_that_ci_would_not_call(flask: Flask) -> None:
    """Private, with the real CI; and none at all is a warning only."""
    found = findings(flask, ci_endpoint=None, public_url="http://10.1.2.3")["PUBLIC_URL"]
    assert (found["level"], "private" in found["said"]) == ("fail", True)
    assert findings(flask, public_url=None)["PUBLIC_URL"]["level"] == "warn"


def test_a_callback_url_that_is_about_to_expire(flask: Flask, store: Store) -> None:
    """Named 14 days ahead, with its last use and what to do; a revoked one and one of a test are not named."""
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
    """Those that expire first are named; of the rest it is said how many do."""
    now = now_ms()
    for n in range(25):
        store.callback_urls.add(
            CallbackUrl(f"{n:012x}", f"u{n:02}", created=1, expires=now + 86_400_000 + n * 60_000)
        )
    found = findings(flask)
    assert sum(what.startswith("callback URL u") for what in found) == 20
    assert found["callback URLs"]["level"] == "warn"
    assert found["callback URLs"]["said"] == "5 more, of which 5 expire within 14 days"


def test_handlers_that_cannot_be_imported(settings: Settings, tmp_path: Path) -> None:
    """As a process of its own, with the environment that a worker would have: the module and its fault are named."""
    (tmp_path / "broken_handlers.py").write_text("import nothing_of_that_name\n")
    argv, variables = command(settings, "doctor", HANDLERS="broken_handlers", PYTHONPATH=str(tmp_path))
    done = subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if "HANDLERS" in line)
    assert "FAIL" in line
    assert "broken_handlers" in line


def test_wrong_settings_are_all_named(settings: Settings) -> None:
    """Even this command cannot go on; its message names every fault, and its exit code is 2."""
    argv, variables = command(
        settings, "doctor", COS_BUCKET="nonumber", VERIFY="binding", PUBLIC_URL="ftp://x"
    )
    done = subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 2, done.stderr
    for name in ("COS_BUCKET", "VERIFY", "PUBLIC_URL"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr
