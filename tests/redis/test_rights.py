"""The rights on Redis: one documented line is enough for everything, and each one that is missing is named."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from app.doctor import preflight
from app.redis import rights
from app.redis.connection import connect
from app.settings import Settings, SettingsError
from harness.servers import ROOT, Emulator, Service, Valkey, as_environment, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import Sender, new_job_id, path

PREFIX = "ci:"


class Limited(Valkey):
    """A server whose user ``receiver`` has the documented rights, or fewer."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__(folder, "--port", str(self.port))

    @property
    def url(self) -> str:
        return f"redis://receiver:PASSWORD@127.0.0.1:{self.port}"

    @property
    def admin(self) -> Redis:
        return Redis("127.0.0.1", self.port)

    def grant(self, *less: str) -> None:
        """The documented line, with some of it changed behind it."""
        _, name, *rules = rights.acl_line(PREFIX).split()
        self.admin.execute_command("ACL", "SETUSER", name, "reset", *rules, *less)  # type: ignore[no-untyped-call]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Limited]:
    (tmp_path / "redis").mkdir()
    with Limited(tmp_path / "redis") as running:
        running.grant()
        yield running


@pytest.fixture
def settings(server: Limited) -> Settings:
    return make_settings(server.url, key_prefix=PREFIX)


LESS = [
    (("resetkeys", "~ci:*"), "~rq:*"),
    (("resetkeys", "~rq:*"), "~ci:*"),
    (("resetchannels",), "&rq:pubsub:*"),
    (("-xadd",), "+xadd"),
    (("-evalsha",), "+evalsha"),
    (("-blmove",), "+blmove"),
    (("-multi",), "+multi"),
    (("-exec",), "+exec"),
    (("-time",), "+time"),
    (("-xreadgroup",), "+xreadgroup"),
    (("-watch",), "+watch"),
    (("-script|load",), "+script|load"),
    (("-@write",), "+zadd"),
]


@pytest.mark.parametrize(("less", "named"), LESS, ids=[named for _, named in LESS])
def test_a_right_that_is_missing_is_named(
    less: tuple[str, ...], named: str, server: Limited, settings: Settings
) -> None:
    """The start is refused with it and with the whole line; the question changes nothing in Redis."""
    server.grant(*less)
    with pytest.raises(SettingsError, match=re.escape(named)) as refused:
        preflight.check_start(settings)
    assert rights.acl_line(PREFIX) in refused.value.message
    assert "receiver:PASSWORD" not in refused.value.message
    assert server.admin.keys() == []


def test_the_documented_line_lacks_nothing(server: Limited, settings: Settings) -> None:
    preflight.check_start(settings)
    client = connect(server.url, timeout=2)
    assert rights.missing(client, PREFIX) == []
    assert rights.unchecked(client) == []
    server.grant("-info", "-config|get")
    preflight.check_start(settings)
    assert rights.unchecked(client) == ["INFO", "CONFIG GET"]
    assert server.admin.keys() == [f"{PREFIX}schema".encode()], "the question has left something"


def test_a_connection_is_usable_after_the_question(server: Limited) -> None:
    """The transaction in which it is asked is over, whatever was refused in it."""
    server.grant("-xadd")
    client = connect(server.url, timeout=2)
    assert rights.missing(client, PREFIX) == ["+xadd"]
    assert client.set("ci:x", "1") is True


@pytest.mark.parametrize("module", ["workers.worker", "workers.relay", "gunicorn"])
def test_no_process_starts_without_them(module: str, server: Limited, settings: Settings) -> None:
    """Exit code 2 and one message, no traceback."""
    server.grant("resetkeys", "~ci:*")
    arguments = ["--config", "gunicorn.conf.py", "app:create_app()"] if module == "gunicorn" else []
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=os.environ | as_environment(settings) | {"PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "~rq:*" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 3, done.stderr


def test_the_whole_way_under_the_documented_line(server: Limited, emulator: Emulator, tmp_path: Path) -> None:
    """Web, worker and relay, a submission, callbacks, a handler, look-ups: no right is missed, and what the server has
    counted is what is asked for at the start."""
    port = free_port()
    settings = make_settings(
        server.url,
        key_prefix=PREFIX,
        public_url=f"http://127.0.0.1:{port}",
        ci_endpoint=emulator.url,
        spool_dir=str(tmp_path / "spool"),
        durability="fsync",
        verify="token,binding",
    )
    server.admin.config_set("appendfsync", "always")
    with Service(settings, port, tmp_path) as service:
        sender, job_ids = Sender(service.url + path(settings)), [new_job_id() for _ in range(20)]
        for job_id in job_ids:
            sender.send(job_id, "Running")
            sender.send(job_id, "Success")
        assert set(sender.answered.values()) == {"accepted"}
        runs = service.services.store.runs
        eventually(
            lambda: all(_is_done(runs.of_job(job_id)) for job_id in job_ids), "all handlers to have run"
        )
        for address in (
            "/v1/jobs",
            f"/v1/jobs/{job_ids[0]}?wait=1",
            f"/v1/jobs/{job_ids[0]}/events",
            "/metrics",
        ):
            assert service.call("GET", address).status_code == 200, address
        _command(settings, "doctor")
        _command(settings, "keys", "list")
        _command(settings, "jobs", "delete", "--yes", job_ids[1])
        assert service.ready()["status"] == "ok"
        logs = "".join(process.text() for process in service.processes)
        assert "NOPERM" not in logs and "no permissions" not in logs, logs
    refused = [entry for entry in server.admin.acl_log() if entry["username"] == "receiver"]
    assert not refused
    counted = {name.removeprefix("cmdstat_").partition("|")[0] for name in server.admin.info("commandstats")}
    assert counted - ADMIN <= rights.COMMANDS, "not asked for at the start"


ADMIN = {"acl", "config", "keys", "info", "hello", "auth", "select"}
"""What this test itself has sent as another user, what is optional, and what no user lacks."""


def _is_done(runs: list) -> bool:  # type: ignore[type-arg]
    return bool(runs) and all(run.state == "done" for run in runs)


def _command(settings: Settings, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app:create_app()", *arguments],
        cwd=ROOT,
        env=os.environ | as_environment(settings),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_scripts_need_no_other_command() -> None:
    """What Lua calls is asked for at the start too."""
    sources = [file.read_text() for file in (ROOT / "app" / "store").rglob("*.lua")]
    called = {name.lower() for source in sources for name in re.findall(r"redis\.p?call\('(\w+)'", source)}
    assert called
    assert not called - rights.COMMANDS


def test_the_line_is_documented() -> None:
    """docs/deploy.md has it as the code makes it."""
    assert rights.acl_line("ci:") in (ROOT / "docs" / "deploy.md").read_text()
