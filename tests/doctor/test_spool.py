"""What doctor finds out about the spool: its folder, its disk, and the Redis that it belongs to."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from redis import Redis

from app.doctor import spool as spool_checks
from app.settings import Settings
from app.spool import NoRoom
from app.web.services import WebServices
from harness.servers import Valkey


def test_a_missing_or_unusable_spool(settings: Settings, tmp_path: Path) -> None:
    """No spool is a warning; one whose folder is a file fails."""

    def level(folder: Path | None) -> str:
        chosen = WebServices.open(settings.model_copy(update={"spool_dir": folder}), timeout=5)
        if chosen.spool:
            with suppress(NoRoom):
                chosen.spool.append(b"one")
        (found,) = spool_checks.spool(chosen)
        assert bool(found.todo) == (found.level != "ok")
        return found.level

    (tmp_path / "file").write_text("in the way")
    assert level(None) == "warn"
    assert level(tmp_path / "spool") == "ok"
    assert level(tmp_path / "file") == "fail"


_SHM = Path("/dev/shm")


@pytest.mark.skipif(not _SHM.is_dir(), reason="this system has no /dev/shm")
def test_a_spool_in_memory_fails(settings: Settings) -> None:
    """A real tmpfs, which every Linux has: a restart of the machine would lose what was answered with 200."""
    with tempfile.TemporaryDirectory(dir=_SHM) as folder:
        chosen = settings.model_copy(update={"spool_dir": Path(folder) / "not yet made"})
        (found,) = spool_checks.disk(WebServices.open(chosen, timeout=5))
    assert (found.level, "tmpfs" in found.said, "disk" in found.todo) == ("fail", True, True)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("tmpfs /the\\040spool tmpfs rw 0 0", "fail"),
        ("overlay /the\\040spool overlay rw 0 0", "warn"),
        ("host:/x /the\\040spool nfs4 rw 0 0", "warn"),
        ("/dev/sda1 /the\\040spool ext4 rw 0 0", "ok"),
        ("tmpfs /the\\040spool tmpfs rw 0 0\n/dev/sda1 /the\\040spool xfs rw 0 0", "ok"),
        ("tmpfs /the\\040spoolers tmpfs rw 0 0", "ok"),
    ],
)
def test_the_disk_of_the_spool_is_the_last_mount_above_it(
    line: str, level: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the kernel's list of mounts (proc(5)): with a blank in the name, one over another, and one whose name only
    begins alike."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/root / ext4 rw 0 0\n{line}\n")
    monkeypatch.setattr(spool_checks, "_MOUNTS", mounts)
    chosen = WebServices.open(settings.model_copy(update={"spool_dir": Path("/the spool/spool")}), timeout=5)
    (found,) = spool_checks.disk(chosen)
    assert (found.level, bool(found.todo)) == (level, level != "ok")


def test_a_redis_that_came_back_empty_is_not_taken_for_a_new_one(settings: Settings, tmp_path: Path) -> None:
    """Redis has lost its data, the spool's folder knows the installation: doctor says how to continue."""
    with Valkey(tmp_path) as server:
        chosen = settings.model_copy(update={"redis_url": server.url, "spool_dir": tmp_path / "spool"})
        ours = WebServices.open(chosen, timeout=5)
        assert [one.level for one in spool_checks.installation(ours)] == ["ok"]
        Redis.from_url(server.url).flushall()
        (found,) = spool_checks.installation(ours)
        assert found.level == "fail"
        assert "backup" in found.todo and "flask spool accept" in found.todo
