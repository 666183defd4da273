"""Settings: one place, every fault named at once with what it is for, no secret ever shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, load
from app.settings.callback_limits import CallbackLimits
from app.settings.rates import Rate
from app.settings.types import AgeAndSize
from harness.servers import ROOT, as_environment, free_port

GOOD = {
    "REDIS_URL": "redis://127.0.0.1:6399/0",
    "COS_SECRET_ID": "AKIDexample",
    "COS_SECRET_KEY": "the-secret-key-of-cos",
    "COS_REGION": "ap-chongqing",
    "COS_BUCKET": "songs-1250000000",
    "CALLBACK_KEYS": "k1:0123456789abcdef0123",
}
SECRETS = ("the-secret-key-of-cos", "0123456789abcdef0123")
NAMES = {name.upper() for name in Settings.model_fields}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A folder without ``.env``, and an environment without any of our names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.settings.loading.STACK_ENV", tmp_path / "no-stack.env")
    for name in list(os.environ):
        if name.removesuffix("_FILE") in NAMES:
            monkeypatch.delenv(name)
    yield


@pytest.fixture
def good(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal() -> str:
    with pytest.raises(SettingsError) as caught:
        load()
    message = caught.value.message
    assert not any(secret in message for secret in SECRETS), "no secret in the message"
    return message


def test_all_required_settings_are_named_at_once() -> None:
    """Every missing setting, and what each is for, in one message; and what to do next."""
    message = refusal()
    for name in GOOD:
        field = Settings.model_fields[name.lower()]
        assert f"{name}: is missing. {field.description}" in message
    assert "make run" in message


def test_enough_is_enough(good: pytest.MonkeyPatch) -> None:
    """The six without a default are all that is needed."""
    settings = load()
    assert settings.verify == {"token", "binding"}
    assert settings.max_body == 2**20
    assert settings.public_url is None


def test_every_wrong_value_is_named_at_once(good: pytest.MonkeyPatch) -> None:
    """Wrong and missing ones together, each with its rule."""
    wrong = {
        "REDIS_URL": "http://redis",
        "PUBLIC_URL": "ftp://x",
        "COS_BUCKET": "noappid",
        "CALLBACK_KEYS": "k1:short",
        "VERIFY": "token,magic",
        "ALLOWED_IPS": "300.1.1.1",
        "MAX_BODY": "a lot",
        "DEADLINE": "soon",
        "CALLBACK_FORMAT": "YAML",
        "HISTORY_MAX": "0",
    }
    for name, value in wrong.items():
        good.setenv(name, value)
    good.delenv("COS_REGION")
    message = refusal()
    for name in (*wrong, "COS_REGION"):
        assert f"  {name}: " in message, name


def test_faults_of_every_kind_are_named_at_once(good: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files that cannot be read, settings that need each other, and a wrong value: one message."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, value in {
        "COS_SECRET_KEY_FILE": str(tmp_path / "none"),
        "COS_TOKEN_FILE": str(tmp_path / "binary"),
        "CALLBACK_KEYS_FILE": "/proc/none",
        "VERIFY": "ip",
        "FORWARD_URLS": "https://example.com/hook",
        "COS_BUCKET": "bad",
    }.items():
        good.setenv(name, value)
    for name in ("COS_SECRET_KEY", "CALLBACK_KEYS", "COS_REGION"):
        good.delenv(name)
    message = refusal()
    for name in ("COS_SECRET_KEY_FILE", "COS_TOKEN_FILE", "CALLBACK_KEYS_FILE"):
        assert f"{name} names a file that cannot be read" in message
    for name in ("ALLOWED_IPS", "FORWARD_KEYS", "COS_BUCKET", "COS_REGION"):
        assert f"  {name}: " in message, name
    assert "pattern" not in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALLBACK_KEYS", "k1:0123456789abcdef,k1:fedcba9876543210"),
        ("VERIFY", "binding"),
        ("VERIFY", "ip,binding"),
        ("VERIFY", "ip"),
        ("CALLBACK_KEYS", "0123456789abcdef0123"),
        ("CALLBACK_KEYS", "k 1:0123456789abcdef0123"),
        ("CALLBACK_KEYS", "k1:0123456789abcde"),
        ("CALLBACK_KEYS", ","),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://ci.example.com/?a=b"),
        ("PUBLIC_URL", "ci.example.com"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "localhost"),
        ("MAX_BODY", "0"),
        ("MAX_BODY", "-1"),
        ("MAX_BODY", "1 parsec"),
        ("CALLBACK_LIFE", "0"),
        ("CALLBACK_LIFE", "91 d"),
        ("CALLBACK_LIMITS", "120"),
        ("CALLBACK_LIMITS", "console_runs"),
        ("CALLBACK_LIMITS", "console_runs=0"),
        ("CALLBACK_LIMITS", "console_runs=1.5"),
        ("CALLBACK_LIMITS", "console_bytes=1MiB"),
        ("CALLBACK_LIMITS", "console_runs=1,console_runs=2"),
        ("CALLBACK_LIMITS", "submission_bytes=1 parsec"),
        ("API_CORS_ORIGINS", "*"),
        ("API_CORS_ORIGINS", "https://app.example.com,*"),
        ("API_CORS_ORIGINS", "app.example.com"),
        ("API_CORS_ORIGINS", "https://app.example.com/"),
        ("API_CORS_ORIGINS", "https://App.example.com"),
        ("API_CORS_ORIGINS", "https://*.example.com"),
        ("API_CORS_ORIGINS", "null"),
        ("API_RATE", "100"),
        ("API_RATE", "100/fortnight"),
        ("API_RATE", "0/s"),
        ("API_RATE", "100/s, burst 0"),
        ("API_RATE", "100/s, burst"),
        ("DEADLINE", "0"),
        ("DEADLINE", "1 fortnight"),
        ("REDIS_URL", ""),
        ("COS_SECRET_KEY", ""),
        ("COS_BUCKET", "songs"),
        ("RETENTION_REFUSALS", "64 MiB"),
        ("RETENTION_REFUSALS", "7 d, 1 h"),
        ("RETENTION_REFUSALS", "7 d, 1 KiB"),
        ("RETENTION_REFUSALS", "0, 64 MiB"),
        ("RETENTION_REFUSALS", "99999999 d"),
        ("RETENTION_REFUSALS", "7 d, 64 MiB, 1"),
    ],
)
def test_a_wrong_value_stops_the_start(good: pytest.MonkeyPatch, name: str, value: str) -> None:
    good.setenv(name, value)
    assert name in refusal()


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:PASSWORD@redis:six/0",
        "redis://me:PASSWORD@redis:70000/0",
        "redis://me:PASSWORD@redis:0/0",
        "redis://me:PASSWORD@redis:6379/main",
        "redis://me:PASSWORD@redis:6379?db=main",
        "redis://me:PASSWORD@a:1,b:2/0",
        "redis://me:PASSWORD/x@redis:6379/0",
        "rediss://me:PASSWORD@[::1/0",
        "rediss://me:[PASSWORD]@redis/0",
        "unix:///run/redis.sock?password=PASSWORD&db=main",
        "redis+sentinel://me:PASSWORD@a:1,b:two/main",
        "redis+sentinel://me:PASSWORD@a:1,[::1/main",
        "redis+sentinel://me:PASSWORD@a:1,b:2/main/zero",
        "redis+sentinel://me:PASSWORD@a:1,b:2",
    ],
)
def test_a_wrong_redis_url_is_not_quoted(good: pytest.MonkeyPatch, url: str) -> None:
    """Hosts, ports, service and database number are checked; the message has no part of the URL."""
    good.setenv("REDIS_URL", url)
    message = refusal()
    assert "  REDIS_URL: " in message
    assert "PASSWORD" not in message


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        *(
            ("REDIS_URL", url, url)
            for url in (
                "redis://redis",
                "rediss://me:p%40ss@[::1]:6380/3",
                "redis://redis:6379/0/",
                "redis://:6379?db=2",
                "unix:///run/redis.sock?db=1",
                "redis+sentinel://sentinel1,[::1],[::2]:7/main/1",
            )
        ),
        ("MAX_BODY", "1 MiB", 2**20),
        ("MAX_BODY", "512kib", 2**19),
        ("MAX_BODY", "1000", 1000),
        ("DEADLINE", "90", 90),
        ("DEADLINE", "90s", 90),
        ("DEADLINE", "1.5 h", 5400),
        ("DEADLINE", "7 d", 604800),
        ("PUBLIC_URL", "https://ci.example.com/hooks/", "https://ci.example.com/hooks"),
        ("RETENTION_REFUSALS", "7 d, 64 MiB", AgeAndSize(604800, 2**26)),
        ("RETENTION_REFUSALS", "90s,1000kb", AgeAndSize(90, 1_000_000)),
        ("RETENTION_REFUSALS", "36h", AgeAndSize(129600, 2**26)),
        ("RETENTION_REFUSALS", str(AgeAndSize(5400.5, 1_000_001)), AgeAndSize(5400.5, 1_000_001)),
        ("PUBLIC_URL", "", None),
        ("REDIS_URL", "redis+sentinel://a:1,b:2/main", "redis+sentinel://a:1,b:2/main"),
        ("CALLBACK_LIFE", "90 d", 90 * 86400),
        ("CALLBACK_LIMITS", "", CallbackLimits()),
        (
            "CALLBACK_LIMITS",
            "submission_bytes = 1.5 KiB, console_per_minute=100000",
            CallbackLimits(submission_bytes=1536, console_per_minute=100_000),
        ),
        ("API_RATE", "600/min", Rate(600, 60, 600)),
        ("API_RATE", "100 / s,burst 500", Rate(100, 1, 500)),
        ("API_RATE", str(Rate(5000, 3600, 1)), Rate(5000, 3600, 1)),
        ("VERIFY", "token, confirm", frozenset({"token", "confirm"})),
        ("HANDLERS", "mine.handlers, theirs", ("mine.handlers", "theirs")),
    ],
)
def test_values_read_as_people_write_them(
    good: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    good.setenv(name, text)
    assert getattr(load(), name.lower()) == value


def test_every_fault_of_the_limits_is_named(good: pytest.MonkeyPatch) -> None:
    """Each wrong limit with its name and its rule, and for an unknown one the names that there are."""
    good.setenv("CALLBACK_LIMITS", "console_runs=0,submission_bytes=much,submission_run=3")
    message = refusal()
    for fault in ("console_runs: ", "submission_bytes: a size is", "'submission_run' is not a limit"):
        assert fault in message, fault
    assert ", ".join(CallbackLimits.model_fields) in message


def test_limits_read_back_as_they_are_written() -> None:
    for limits in (CallbackLimits(), CallbackLimits(submission_bytes=1537, console_bytes_per_minute=2**30)):
        assert CallbackLimits.parse(str(limits)) == limits


def test_a_url_never_outlives_the_job_that_it_reports(good: pytest.MonkeyPatch) -> None:
    """A start with a shorter RETENTION_JOBS names both settings, whichever of the two was set; equal is enough."""
    good.setenv("RETENTION_JOBS", "29 d")
    message = refusal()
    assert "  RETENTION_JOBS: is shorter than CALLBACK_LIFE (30 d)" in message
    good.setenv("CALLBACK_LIFE", "29 d")
    assert load().callback_life == load().retention_jobs


def test_keys_are_a_list(good: pytest.MonkeyPatch) -> None:
    """The first signs; a secret may hold colons, and is never in a representation."""
    good.setenv("CALLBACK_KEYS", "new:abc:def:0123456789, old:0123456789abcdef0123")
    settings = load()
    assert [key.id for key in settings.callback_keys] == ["new", "old"]
    assert settings.callback_keys[0].secret == "abc:def:0123456789"
    for shown in (repr(settings), str(settings), repr(settings.callback_keys), repr(settings.model_dump())):
        assert "0123456789" not in shown
        assert "the-secret-key" not in shown


def test_a_secret_may_come_from_a_file(good: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``NAME_FILE`` names a file; its last newline is not part of the secret."""
    (tmp_path / "secret").write_text("from-the-file-0123456789\n")
    good.delenv("COS_SECRET_KEY")
    good.setenv("COS_SECRET_KEY_FILE", str(tmp_path / "secret"))
    assert load().cos_secret_key.get_secret_value() == "from-the-file-0123456789"
    good.setenv("COS_SECRET_KEY_FILE", str(tmp_path / "none"))
    assert "COS_SECRET_KEY_FILE" in refusal()


def test_a_dotenv_is_read_and_the_environment_wins(good: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("COS_REGION=ap-guangzhou\nDEADLINE='2 h'\n# a comment\n")
    settings = load()
    assert (settings.cos_region, settings.deadline) == ("ap-chongqing", 7200)
    good.delenv("COS_REGION")
    assert load().cos_region == "ap-guangzhou"


def test_a_dotenv_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in GOOD.items()))
    assert load().cos_bucket == "songs-1250000000"


def test_settings_cannot_be_changed(good: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().max_body = 1  # type: ignore[misc]


def test_the_environment_of_tests_says_all(settings: Settings, good: pytest.MonkeyPatch) -> None:
    """What the tests hand to the processes that they start reads back as the same settings."""
    for name, value in as_environment(settings).items():
        good.setenv(name, value)
    assert load() == settings


def test_every_setting_says_what_it_is_for() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith("."), name


STARTS = {
    "web": ["-m", "gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"],
    "worker": ["-m", "workers.worker"],
    "relay": ["-m", "workers.relay"],
    "a command": ["-m", "flask", "jobs", "list"],
}


@pytest.mark.parametrize("process", STARTS)
def test_a_start_without_settings_prints_one_message(process: str, tmp_path: Path) -> None:
    """No process starts half set: one message that names every fault, no traceback, a failing exit code."""
    known = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in NAMES}
    outside = {"PYTHONPATH": str(ROOT), "PORT": str(free_port()), "COS_SECRET_KEY": "the-secret-key-of-cos"}
    command = [str(ROOT / part) if part == "gunicorn.conf.py" else part for part in STARTS[process]]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=known | outside | {"VERIFY": "binding", "CALLBACK_KEYS": "k1:too-short", "STACK_ENV": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode not in {0, -9}
    assert "Traceback" not in said, said
    for name in ("REDIS_URL", "COS_SECRET_ID", "COS_REGION", "COS_BUCKET", "CALLBACK_KEYS", "VERIFY"):
        assert said.count(f"  {name}: ") == 1, (name, said)
    assert "the-secret-key-of-cos" not in said
    assert "too-short" not in said
