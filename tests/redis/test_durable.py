"""``DURABILITY``: what is true when a write has been answered for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app import create_app
from app.doctor import preflight
from app.redis import capabilities
from app.redis.capabilities import Level
from app.settings import Settings, SettingsError
from app.spool import SUFFIX
from app.store import NotDurable, Store, Unavailable
from harness.servers import ROOT, Valkey, as_environment, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import body, new_job_id, outcome, path
from tests.store.samples import news, submission
from tests.web.serving import serving


def server_in(folder: Path, *options: str) -> Valkey:
    folder.mkdir()
    return Valkey(folder, *options)


LONG_S = 30.0
"""For calls that must succeed: a replica or a disk may take seconds on a busy machine."""
SHORT_S = 5.0
"""For calls whose wait for a stalled replica must fail."""


def opened(server: Valkey, level: Level, timeout: float = LONG_S) -> Store:
    return Store.open(server.url, "t:", timeout=timeout, durability=level)


def _drained_twice(entries: Sequence[dict[str, object]]) -> bool:
    """One entry for the callback and duplicates for its copy, which is drained again after a slow answer."""
    first, *rest = [entry["outcome"] for entry in entries]
    return first == "accepted" and set(rest) == {"duplicate"}


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Valkey, Valkey]]:
    """A primary and the replica that follows it."""
    port = str(free_port())
    with (
        server_in(tmp_path / "a", "--port", port) as primary,
        server_in(tmp_path / "b", "--replicaof", "127.0.0.1", port, "--port", str(free_port())) as replica,
    ):
        client = opened(replica, "process").db.client
        eventually(lambda: client.info("replication")["master_link_status"] == "up", "the replica to follow")
        yield primary, replica


# ── fsync ───────────────────────────────────────────────────────────────────


def test_fsync_is_refused_without_an_append_only_file(tmp_path: Path) -> None:
    """The start stops with one message that says what to change in Redis: web, worker and relay alike."""
    with server_in(tmp_path / "a", "--appendonly", "no") as server:
        settings = make_settings(server.url, durability="fsync")
        with pytest.raises(SettingsError, match="appendonly yes"):
            preflight.check_start(settings)
        for command in (
            ["gunicorn", "--config", "gunicorn.conf.py", "app:serving()"],
            ["workers.worker"],
            ["workers.relay"],
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command],
                env=os.environ | as_environment(settings) | {"PORT": str(free_port())},
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 2, done.stderr
            assert "appendonly yes" in done.stderr
            assert "Traceback" not in done.stderr


def test_fsync_needs_always_where_waitaof_is_missing(tmp_path: Path) -> None:
    """An older Redis cannot say when its file is synced, so only a file that is always synced will do."""
    with server_in(tmp_path / "a", "--rename-command", "WAITAOF", "") as server:
        settings = make_settings(server.url, durability="fsync")
        with pytest.raises(SettingsError, match="appendfsync always"):
            preflight.check_start(settings)
        store = opened(server, "fsync")
        with pytest.raises(NotDurable):
            store.acceptor.accept(news("j1"))
        store.db.client.config_set("appendfsync", "always")
        preflight.check_start(settings)
        assert opened(server, "fsync").acceptor.accept(news("j2")) == ["accepted"]


def test_fsync_is_not_believed_of_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failover from an older Redis to one that syncs once a second: what the process found before ends."""
    without = ("--rename-command", "WAITAOF", "")
    with server_in(tmp_path / "a", *without, "--appendfsync", "always") as server:
        store = opened(server, "fsync")
        assert store.acceptor.accept(news("j1")) == ["accepted"]
        store.db.client.config_set("appendfsync", "everysec")
        monkeypatch.setattr(capabilities, "_OFFER_S", 0.0)
        with pytest.raises(NotDurable):
            store.acceptor.accept(news("j2"))


@pytest.mark.parametrize("sync", ["always", "everysec"])
def test_fsync_answers_when_the_file_is_synced(tmp_path: Path, sync: str) -> None:
    """With either kind of append-only file; where it is synced once a second, an answer takes that long."""
    with server_in(tmp_path / "a", "--appendfsync", sync) as server:
        store = opened(server, "fsync")
        assert [store.acceptor.accept(news("j1"))[0] for _ in range(3)] == [
            "accepted",
            "duplicate",
            "duplicate",
        ]
        assert bool(store.durable.check()) == (sync == "everysec"), (
            "a slow server is worth a word at the start"
        )


def test_fsync_with_the_file_switched_off_later(tmp_path: Path) -> None:
    """What the server no longer gives, the spool does; without a spool it is a 503."""
    with server_in(tmp_path / "a") as server:
        settings = make_settings(server.url, durability="fsync", spool_dir=str(tmp_path / "spool"))
        app, bare = serving(settings), serving(settings.model_copy(update={"spool_dir": None}))
        ours = app.extensions["services"]
        assert outcome(app.test_client().post(path(settings), data=body(new_job_id()))) == "accepted"
        ours.store.db.client.config_set("appendonly", "no")
        job_id = new_job_id()
        assert outcome(app.test_client().post(path(settings), data=body(job_id))) == "accepted"
        assert list((tmp_path / "spool").glob(f"*{SUFFIX}")), "a synced copy lies in the spool"
        assert bare.test_client().post(path(settings), data=body(new_job_id())).status_code == 503
        time.sleep(2)
        assert list((tmp_path / "spool").glob(f"*{SUFFIX}")), "and stays until Redis is as safe again"
        assert len(ours.store.jobs.history(job_id)[0]) == 1
        ours.store.db.client.config_set("appendonly", "yes")
        eventually(lambda: not list((tmp_path / "spool").glob(f"*{SUFFIX}")), "the copy to be compared")
        assert _drained_twice(ours.store.jobs.history(job_id)[0])
        ours.drainer.stop()


# ── replicated ──────────────────────────────────────────────────────────────


def test_replicated_survives_the_loss_of_the_primary(pair: tuple[Valkey, Valkey]) -> None:
    """Everything that was answered is on the replica when the primary is killed at any moment."""
    primary, replica = pair
    store = opened(primary, "replicated")
    ids = [new_job_id() for _ in range(200)]
    for job_id in ids:
        assert store.acceptor.accept(news(job_id)) == ["accepted"]
    primary.kill()
    after = opened(replica, "replicated")
    after.db.client.replicaof("NO", "ONE")
    assert all(after.jobs.get(job_id) for job_id in ids)
    assert after.outbox.size() == len(ids)


def test_a_duplicate_is_not_answered_before_its_original_is_safe(pair: tuple[Valkey, Valkey]) -> None:
    """The original came in by another process, and no replica has it: its duplicate must not be called safe."""
    primary, replica = pair
    first, second = opened(primary, "replicated"), opened(primary, "replicated")
    assert first.acceptor.accept(news("j0")) == ["accepted"]
    assert second.acceptor.accept(news("j0")) == ["duplicate"]
    replica.signal(signal.SIGSTOP)
    for decided in ("accepted", "duplicate"):
        with pytest.raises(NotDurable) as caught:
            opened(primary, "replicated", SHORT_S).acceptor.accept(news("j1"))
        assert caught.value.outcomes == [decided]
    replica.signal(signal.SIGCONT)

    def safe_again() -> bool:
        try:
            return second.acceptor.accept(news("j1")) == ["duplicate"]
        except NotDurable:
            return False

    eventually(safe_again, "the replica to be heard of again")


def test_without_a_replica_the_spool_is_the_second_copy(
    pair: tuple[Valkey, Valkey], tmp_path: Path, settings: Settings
) -> None:
    """The outcome stays as decided, a synced copy lies here; it is compared when a replica answers, and goes away."""
    primary, replica = pair
    spool = tmp_path / "spool"
    chosen = settings.model_copy(
        update={
            "redis_url": primary.url,
            "durability": "replicated",
            "spool_dir": spool,
            "redis_timeout": SHORT_S,
        }
    )
    app, bare = serving(chosen), serving(chosen.model_copy(update={"spool_dir": None}))
    client, ours, ids = app.test_client(), app.extensions["services"], [new_job_id() for _ in range(10)]
    replica.signal(signal.SIGSTOP)
    started = time.monotonic()
    for job_id in ids:
        assert outcome(client.post(path(chosen), data=body(job_id))) == "accepted"
    assert time.monotonic() - started < 10 * SHORT_S * 0.8, "not every request waits for the absent replica"
    assert bare.test_client().post(path(chosen), data=body(new_job_id())).status_code == 503
    assert list(spool.glob(f"*{SUFFIX}"))
    replica.signal(signal.SIGCONT)
    eventually(lambda: not list(spool.glob(f"*{SUFFIX}")), "the copies to be compared")
    for job_id in ids:
        entries = ours.store.jobs.history(job_id)[0]
        assert _drained_twice(entries)
        assert all("spooled_at" in entry for entry in entries[1:])
    ours.drainer.stop()


def test_the_copy_brings_back_what_a_failover_lost(
    pair: tuple[Valkey, Valkey], tmp_path: Path, settings: Settings
) -> None:
    """Accepted by a primary whose replica never got it; the replica takes over; the spool's copy is news there."""
    primary, replica = pair
    chosen = settings.model_copy(
        update={
            "redis_url": primary.url,
            "durability": "replicated",
            "spool_dir": tmp_path / "spool",
            "redis_timeout": SHORT_S,
        }
    )
    app, job_id = create_app(chosen), new_job_id()
    replica.kill()
    assert outcome(app.test_client().post(path(chosen), data=body(job_id))) == "accepted"
    app.extensions["services"].drainer.stop()
    primary.kill()
    replica.start()
    changed = {"redis_url": replica.url, "durability": "process", "redis_timeout": LONG_S}
    after = chosen.model_copy(update=changed)
    promoted = create_app(after).extensions["services"]
    promoted.store.db.client.replicaof("NO", "ONE")
    assert promoted.store.jobs.get(job_id) is None, "the failover has lost it"
    promoted.drainer.step()
    assert [e["outcome"] for e in promoted.store.jobs.history(job_id)[0]] == ["accepted"]
    assert promoted.store.outbox.size() == 1


# ── submissions and revocations ─────────────────────────────────────────────


def test_submissions_are_at_the_strongest_level(pair: tuple[Valkey, Valkey]) -> None:
    """Whatever DURABILITY says, they are on the replica when they are sent; one that asks for a replica refuses
    without one, and one that does not goes on, after a moment."""
    primary, replica = pair
    plain, strict = opened(primary, "process"), opened(primary, "replicated")
    there = opened(replica, "process")
    plain.submissions.create(submission("s1"))
    plain.refusals.revoke("f00f")
    assert there.submissions.get("s1") == submission("s1")
    assert there.db.client.sismember("t:revoked", "f00f")
    strict.submissions.create(submission("s2"))
    replica.signal(signal.SIGSTOP)
    plain, strict = opened(primary, "process", SHORT_S), opened(primary, "replicated", SHORT_S)
    plain.submissions.create(submission("s3"))
    with pytest.raises(Unavailable):
        strict.submissions.create(submission("s4"))
    with pytest.raises(Unavailable):
        strict.refusals.revoke("f00f")
