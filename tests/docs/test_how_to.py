"""Each how-to is followed as it is written, with real servers; the tests check outputs and results."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from app.services import Services
from app.settings import Settings
from app.store.schema.version import VERSION
from harness.servers import ROOT, Service, free_port, free_ports
from tests.callbacks import Sender, new_job_id, path
from tests.docs.conftest import Follow, RedisServer
from tests.docs.console import blocks
from tests.store.said import said, tell
from tests.upgrade.dump import RELEASE1

HOW_TO = ROOT / "docs" / "how-to"

pytestmark = pytest.mark.timeout(600)


def port_of(settings: Settings) -> int:
    return int((settings.public_url or "").rpartition(":")[2])


def test_every_block_of_a_how_to_can_be_run_or_says_why_not() -> None:
    """A block of shell is a `console` block, so that a test runs it, or says `not run` and why."""
    found = [(page.name, block) for page in HOW_TO.glob("*.md") for block in blocks(page)]
    run = [(name, block) for name, block in found if block.is_run]
    assert len(run) > 50
    wrong = [(name, block.line) for name, block in run if block.language in {"sh", "bash", "shell", ""}]
    assert not wrong, "write these blocks as `console`, or say `not run` and why"


def test_callbacks_by_a_console_queue(follow: Follow, deployed: Settings, tmp_path: Path) -> None:
    """At the end the first callback URL is revoked, and its replacement is in use."""
    with Service(deployed, port_of(deployed), tmp_path, WEB_CONCURRENCY="1") as service:
        follow("how-to/console-queue.md")
        urls = {url.name: url for url in service.services.store.callback_urls.list()}
    assert (urls["speech"].is_in_use, urls["speech-2"].is_in_use) == (False, True)


def test_rotating_each_kind_of_key(follow: Follow, deployed: Settings, redis_server: RedisServer) -> None:
    """At the end the Redis user has one password, and only the new API key exists."""
    admin = redis_server.url
    client = Redis.from_url(admin)
    rights = ["on", ">OLD-PASSWORD", "~*", "&*", "+@all"]
    client.execute_command("ACL", "SETUSER", "receiver", *rights)  # type: ignore[no-untyped-call]
    theirs = f"redis://receiver:OLD-PASSWORD@127.0.0.1:{redis_server.port}/0"
    follow(
        "how-to/rotate-keys.md",
        settings=deployed.model_copy(update={"redis_url": theirs}),
        ADMIN_URL=admin,
        NEW_COS_SECRET_KEY="emulator",
        FORWARD_KEYS="",
    )
    user: Any = client.acl_getuser("receiver")
    assert len(user["passwords"]) == 1
    assert [key.name for key in Services.open(deployed, timeout=5).store.api_keys.list()] == ["shop-2"]


def test_backup_and_restore(
    follow: Follow, deployed: Settings, redis_server: RedisServer, tmp_path: Path
) -> None:
    """After the restore the job and the API key of the snapshot are there, and a later job is fetched from CI."""
    settings = deployed.model_copy(update={"spool_dir": tmp_path / "spool"})
    with Service(settings, port_of(settings), tmp_path, WEB_CONCURRENCY="1") as service:
        store = service.services.store
        tell(store, said("before-the-snapshot", "Success"))
        store.api_keys.create("kept", frozenset({"read"}))
        submitted: list[str] = []

        def submit() -> None:
            body = {
                "input": {"object": "in/a.mp3"},
                "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
                "output": {"au_object": "out/a.mp3"},
            }
            submitted.append(
                service.call("POST", "/v1/jobs", json={"tag": "VoiceSeparate", **body}).json()["job_id"]
            )

        def look() -> None:
            assert store.jobs.get("before-the-snapshot") is not None
            assert store.jobs.get(submitted[0]) is not None
            assert "kept" in {key.name for key in store.api_keys.list()}

        follow(
            "how-to/backup.md",
            settings=settings,
            instead={"6379": str(redis_server.port)},
            at={"Restore": submit},
            then=look,
        )


def test_a_managed_redis_with_a_user_of_its_own(follow: Follow, deployed: Settings, tmp_path: Path) -> None:
    """The page works on a server without CONFIG, and its Redis user has no dangerous commands."""
    with RedisServer(tmp_path / "managed", "--rename-command", "CONFIG", "") as managed:

        def look() -> None:
            user: Any = Redis.from_url(managed.url).acl_getuser("receiver")
            assert "-@dangerous" in user["categories"]

        follow(
            "how-to/managed-redis.md",
            settings=deployed.model_copy(update={"redis_url": managed.url}),
            instead={"6379": str(managed.port)},
            then=look,
            ADMIN_URL=managed.url,
        )


def test_scaling_out(follow: Follow, deployed: Settings) -> None:
    """Two processes of each role share one Redis; both accept a callback URL that one of them made."""
    follow("how-to/scale-out.md", instead={"8100": str(free_port())})


def test_sentinel_with_passwords(follow: Follow, deployed: Settings) -> None:
    """A real failover of three servers and three sentinels; callbacks during it are stored."""
    ports = {f"7{kind}0{n}": str(free_port()) for kind in (0, 1) for n in (1, 2, 3)}
    # The loop of the page counts the sentinels' ports up from the first: they are consecutive here, too.
    sentinels = free_ports(3)
    ports |= {f"710{n}": str(port) for n, port in enumerate(sentinels, 1)}
    ports["710$n"] = f"$(({sentinels[0]}+n-1))"
    follow("how-to/sentinel.md", instead=ports)


class Caller(threading.Thread):
    """Sends callbacks, as CI does, while the service is upgraded."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.sender = Sender(f"{settings.public_url}{path(settings)}")
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            self.sender.send(new_job_id())

    def stop(self) -> Sender:
        self._over.set()
        self.join(60)
        return self.sender


def test_upgrading_from_the_oldest_release(
    follow: Follow, deployed: Settings, redis_server: RedisServer
) -> None:
    """Data of that release is converted; each callback during the upgrade is answered 200 and stored."""
    RELEASE1.load(Redis.from_url(redis_server.url))
    settings = RELEASE1.settings(
        redis_server,
        public_url=deployed.public_url,
        ci_endpoint=deployed.ci_endpoint,
        cos_bucket=deployed.cos_bucket,
    )
    caller = Caller(settings)
    store = Services.open(settings, timeout=5).store

    def look() -> None:
        sent = caller.stop()
        assert sent.failed == []
        assert len(sent.answered) > 20
        assert [job_id for job_id in sent.answered if store.jobs.get(job_id) is None] == []
        done = RELEASE1.job("done")
        job = store.jobs.get(done)
        assert job is not None and job.user_data == "order-1"

    follow(
        "how-to/upgrade.md",
        settings=settings,
        instead={"SCHEMA-OF-THIS-RELEASE": VERSION},
        at={"Web first": caller.start},
        then=look,
    )
