"""An installation of the first release keeps its jobs, runs, keys and callback URLs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from redis import Redis

from app.core.clock import now_ms
from app.doctor import preflight
from app.redis.scripts import decoded_all
from app.services import Services
from app.settings import SettingsError
from app.store import Store, Unavailable
from app.store.failures.failures import FailureFilter
from app.store.keys import KINDS
from app.store.members import member_of
from app.store.schema.version import VERSION
from harness.servers import Emulator, Service, Valkey, eventually, free_port
from tests.store.said import said, tell
from tests.upgrade.dump import RELEASE1


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A server of its own, with the data of that release and nothing else."""
    with Valkey(tmp_path) as running:
        client = Redis(unix_socket_path=str(running.socket))
        RELEASE1.load(client)
        client.close()
        yield running


@pytest.fixture
def migrated(server: Valkey) -> Store:
    """After the first start of this release."""
    settings = RELEASE1.settings(server)
    preflight.check_start(settings)
    return Services.open(settings, timeout=5).store


def test_every_job_is_there_with_its_history_and_its_runs(migrated: Store) -> None:
    """The record, every entry with its exact bytes, and what its handlers did."""
    for name, job_id in RELEASE1.manifest["jobs"].items():
        if name in {"lost", "lost_submission", "spooled"} or job_id is None:
            continue
        assert migrated.jobs.get(job_id) is not None, name
        assert migrated.jobs.history(job_id)[1] == len(migrated.jobs.history(job_id)[0]) > 0, name
    done = RELEASE1.job("done")
    assert json.loads(migrated.jobs.raw_bytes(done, 2) or b"") == json.loads(
        RELEASE1.manifest["bodies"]["done"]
    )
    job = migrated.jobs.get(done)
    assert job is not None
    assert (job.state, job.user_data, job.raw and job.raw["JobId"]) == ("Success", "order-1", done)
    assert {run.state for run in migrated.runs.of_job(done)} >= {"done"}
    assert [run.job_id for run in migrated.failures.page(FailureFilter(), 10)[0]] == [RELEASE1.job("broken")]


def test_nothing_is_left_under_an_old_key(migrated: Store) -> None:
    """Every key is of a kind that this release knows, and of its type."""
    for key in decoded_all(migrated.db.client.scan_iter("ci:*")):
        kind, _, each = key.removeprefix("ci:").partition(":")
        assert migrated.db.client.type(key).decode() == KINDS.get(kind), key  # type: ignore[union-attr]
        assert ":" not in each or kind in {"mark", "index", "deliveries", "endpoint"}, key


def test_a_migration_may_happen_again_and_from_several_processes(migrated: Store, server: Valkey) -> None:
    """Nothing is doubled, and what an old process writes meanwhile is taken over."""
    done = RELEASE1.job("done")
    before = migrated.jobs.history(done)
    late = {"kind": "callback", "at": "2026-11-25T18:00:00Z", "entry": 99, "outcome": "stale"}
    migrated.db.client.rpush(f"ci:job:{done}:history", json.dumps(late))
    migrated.db.client.zadd("ci:touched", {member_of(done): 2**42})
    migrated.schema.take_over_stragglers()
    migrated.db.client.hdel("ci:schema", "version")
    preflight.check_start(RELEASE1.settings(server))
    assert migrated.jobs.history(done)[0] == [*before[0], late]


def test_what_an_earlier_release_writes_months_later_is_taken_over(migrated: Store) -> None:
    """An operator went back to it for a while: its histories are not lost when this release runs again."""
    done, month_ms = RELEASE1.job("done"), 30 * 86_400_000
    before, client = migrated.jobs.history(done), migrated.db.client
    client.hset("ci:schema", "since", now_ms() - month_ms)
    assert migrated.schema.take_over_stragglers() == 0
    late = {"kind": "callback", "at": "2026-11-25T18:00:00Z", "entry": 99, "outcome": "stale"}
    client.rpush(f"ci:job:{done}:history", json.dumps(late))
    client.zadd("ci:raws", {done: now_ms() - 1000})
    client.zadd("ci:touched", {member_of(done): now_ms()})
    assert migrated.schema.take_over_stragglers() > 0
    assert migrated.jobs.history(done)[0] == [*before[0], late]
    assert not client.exists("ci:raws", f"ci:job:{done}:history")
    client.rpush(f"ci:job:{done}:history", json.dumps(late | {"entry": 100}))
    migrated.schema.take_over_stragglers()
    assert migrated.jobs.history(done)[0] == [*before[0], late, late | {"entry": 100}]


def test_a_newer_release_is_not_written_over(migrated: Store, server: Valkey) -> None:
    """The start is refused with one message, and so is a callback of a process that runs already."""
    newer = int(VERSION) + 1
    migrated.db.client.hset("ci:schema", "version", newer)
    with pytest.raises(SettingsError, match=f"schema version {newer}") as refused:
        preflight.check_start(RELEASE1.settings(server))
    assert refused.value.message.count("\n") == 0
    with pytest.raises(Unavailable, match="newer release"):
        tell(migrated, said("jnew", "Running"))


def test_the_installation_goes_on_where_it_was(server: Valkey, emulator: Emulator, tmp_path: Path) -> None:
    """Old URLs, the old spool, old API keys and what was queued, through real processes of this release."""
    RELEASE1.copy_spool(tmp_path / "spool")
    port, manifest = free_port(), RELEASE1.manifest
    settings = RELEASE1.settings(server, spool_dir=tmp_path / "spool", ci_endpoint=emulator.url)
    with Service(settings, port, tmp_path) as service:
        store = service.services.store

        def job(name: str) -> dict[str, object]:
            headers = {"Authorization": f"Bearer {manifest['api_keys']['reader']}"}
            answer = requests.get(f"{service.url}/v1/jobs/{RELEASE1.job(name)}", headers=headers, timeout=10)
            return answer.json() if answer.ok else {}

        eventually(lambda: job("spooled").get("state") == "Success", "the spooled job to be stored")
        eventually(lambda: job("silent").get("state") == "Success", "the spooled end of an open job")
        for name in ("waiting", "outbox"):
            job_id = RELEASE1.job(name)
            eventually(lambda: _handled(store, job_id), f"the handlers of the job {name}")  # noqa: B023
        end = manifest["bodies"]["done"].replace(RELEASE1.job("done"), RELEASE1.job("stuck"))
        end = end.replace("in/done.mp3", "in/stuck.mp3").replace("order-1", "order-5")
        answer = requests.post(service.url + manifest["callback_paths"]["stuck"], data=end, timeout=10)
        assert answer.json()["results"] == [{"job_id": RELEASE1.job("stuck"), "outcome": "accepted"}]
        assert job("stuck")["submission"]
        assert requests.post(service.url + manifest["bound_path"], data=end, timeout=10).status_code == 200
        assert requests.post(service.url + manifest["revoked_path"], data=end, timeout=10).status_code == 403
        # A file is removed only when Redis has its records on the disk.
        eventually(lambda: not list((tmp_path / "spool").glob("*.spool*")), "the spool to be drained")


def _handled(store: Store, job_id: str) -> bool:
    runs = [run for run in store.runs.of_job(job_id) if run.handler == "workers.handlers.log_end"]
    return bool(runs) and all(run.state == "done" for run in runs)
