"""The installation id: kept by Redis and by the spool's folder, so that one notices what the other has lost."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from app.doctor.preflight import check_start
from app.settings import Settings
from app.spool import SUFFIX
from app.spool.installation import Installation, InstallationState
from app.spool.record import encode_record
from app.store import Database, connect
from harness.servers import Valkey, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import new_job_id
from tests.store.samples import news


def installation(settings: Settings, folder: Path) -> Installation:
    """The installation as a process with these settings and this spool sees it."""
    db = Database(connect(settings.redis_url, timeout=5), settings.key_prefix)
    return Installation(db, folder, settings.redis_url)


def forget(settings: Settings) -> None:
    client = connect(settings.redis_url, timeout=5)
    client.delete(f"{settings.key_prefix}installation")


def test_the_id_is_made_at_the_first_start_and_stays_the_same(settings: Settings, tmp_path: Path) -> None:
    assert [installation(settings, tmp_path).state() for _ in range(3)] == ["ok"] * 3
    (mark,) = (path for path in tmp_path.iterdir())
    before = mark.read_bytes()
    installation(settings, tmp_path).state()
    assert mark.read_bytes() == before


def test_an_id_that_an_earlier_release_made_is_read(settings: Settings, tmp_path: Path) -> None:
    """The key in Redis and the file in the folder, as every release with an id has written them: they agree, and the
    file stays as it is. Without the key Redis has lost its data."""
    client = connect(settings.redis_url, timeout=5)
    client.set(f"{settings.key_prefix}installation", "0123456789abcdef")
    place = {"id": "0123456789abcdef", "redis": settings.redis_url, "prefix": settings.key_prefix}
    before = json.dumps(place).encode()
    (tmp_path / "installation").write_bytes(before)
    assert installation(settings, tmp_path).state() == "ok"
    assert (tmp_path / "installation").read_bytes() == before
    assert client.get(f"{settings.key_prefix}installation") == b"0123456789abcdef"
    forget(settings)
    assert installation(settings, tmp_path).state() == "lost"


def test_receivers_that_start_at_the_same_time_agree(settings: Settings, tmp_path: Path) -> None:
    """With a folder for each or one for several, all have one id."""
    all_of_them = [installation(settings, tmp_path / f"{n % 4}") for n in range(12)]
    threads = [threading.Thread(target=each.state) for each in all_of_them]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.state() for each in all_of_them} == {"ok"}


def test_a_redis_that_came_back_empty(settings: Settings, tmp_path: Path) -> None:
    """Every receiver says so, until one of them has accepted it: then all agree, with the same id."""
    a, b = installation(settings, tmp_path / "a"), installation(settings, tmp_path / "b")
    a.state()
    b.state()
    forget(settings)
    assert (a.state(), b.state()) == ("lost", "lost")
    assert installation(settings, tmp_path / "a").state() == "lost", "a start accepts nothing"
    assert "came back empty" in a.explain("lost")
    a.accept()
    assert (a.state(), b.state()) == ("ok", "ok")


def test_a_receiver_without_a_past_has_made_a_new_id(settings: Settings, tmp_path: Path) -> None:
    """It cannot know that Redis is empty; one with an earlier id reports it until it is accepted."""
    a, b = installation(settings, tmp_path / "a"), installation(settings, tmp_path / "b")
    assert a.state() == "ok"
    forget(settings)
    assert (b.state(), a.state()) == ("ok", "lost")
    a.accept()
    assert (a.state(), b.state()) == ("ok", "ok")


@pytest.mark.parametrize(
    ("other", "known", "state"),
    [
        ("prefix", False, "foreign"),
        ("prefix", True, "foreign"),
        ("server", True, "foreign"),
        # Nothing distinguishes it from an empty server that has taken over: what is spooled must get there.
        ("server", False, "lost"),
    ],
)
def test_two_installations_with_one_folder(
    other: str,
    known: bool,
    state: InstallationState,
    settings: Settings,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The second process names the owner of the folder, whether or not it has an id of its own; the first is not
    disturbed."""
    first, folder = installation(settings, tmp_path), tmp_path_factory.mktemp("server")
    assert first.state() == "ok"
    with Valkey(folder) as server:
        there = make_settings(server.url, key_prefix=settings.key_prefix)
        second = there if other == "server" else make_settings(settings.redis_url)
        if known:
            installation(second, tmp_path / "own").state()
        assert installation(second, tmp_path).state() == state
        said = installation(second, tmp_path).explain(state)
        assert str(settings.redis_url) in said
        assert first.state() == "ok"


def test_a_redis_that_moved_with_its_data(settings: Settings, tmp_path: Path) -> None:
    """Another address with the same id is the same installation; the new address is stored, without the password."""
    a = installation(settings, tmp_path)
    a.state()
    moved = Installation(a._db, tmp_path, "rediss://user:secret@elsewhere:6380/1?password=secret")
    assert moved.state() == "ok"
    text = (tmp_path / "installation").read_text()
    assert "rediss://elsewhere:6380/1" in text
    assert "secret" not in text
    forget(settings)
    assert moved.state() == "lost"


def test_a_mark_that_cannot_be_read_is_made_again(settings: Settings, tmp_path: Path) -> None:
    """Callbacks are drained all the same."""
    (tmp_path / "installation").write_bytes(b"\0\0\0")
    assert installation(settings, tmp_path).state() == "ok"
    assert b"\0" not in (tmp_path / "installation").read_bytes()


@pytest.mark.parametrize(("state", "drains"), [("lost", True), ("foreign", False)])
def test_an_operator_decides_about_the_spool_of_another_installation(
    state: InstallationState,
    drains: bool,
    settings: Settings,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An empty Redis gets its spooled records at once. Records of another installation wait until an operator accepts
    them."""
    with_spool = settings.model_copy(update={"spool_dir": tmp_path, "redis_timeout": 5.0})
    installation(settings, tmp_path).state()
    if state == "lost":
        forget(settings)
    else:
        with_spool = with_spool.model_copy(update={"key_prefix": f"{settings.key_prefix}second:"})
    services = create_app(with_spool).extensions["services"]
    job_id = new_job_id()
    services.spool.append(encode_record(news(job_id)))
    services.spool.hand_over(at_once=True)
    caplog.set_level("DEBUG", "app.spool.drain")
    services.drainer.start()
    try:
        if not drains:
            waits = f"the spool waits: {services.installation.explain(state)}"
            eventually(
                lambda: caplog.messages.count(waits) > 1 or services.store.jobs.get(job_id),
                "the drainer to look twice",
            )
            assert services.store.jobs.get(job_id) is None
            assert list(tmp_path.glob(f"*{SUFFIX}"))
            services.installation.accept()
        eventually(lambda: services.store.jobs.get(job_id), "the record to be drained")
    finally:
        services.drainer.stop()


def test_a_receiver_creates_the_id_once_redis_is_available(settings: Settings, tmp_path: Path) -> None:
    """It needs no request and no spooled callback."""
    app = create_app(settings.model_copy(update={"spool_dir": tmp_path}))
    app.extensions["services"].drainer.start()
    try:
        eventually((tmp_path / "installation").exists, "the id to be made")
    finally:
        app.extensions["services"].drainer.stop()


@pytest.fixture
def app(settings: Settings, tmp_path: Path) -> Flask:
    return create_app(settings.model_copy(update={"spool_dir": tmp_path}))


def test_readiness_and_metrics_report_an_empty_redis(app: Flask, settings: Settings) -> None:
    """Degraded, still 200; ``ok`` again once it is accepted."""
    client, services = app.test_client(), app.extensions["services"]
    for role in ("relay", "worker"):
        services.store.presence.here(role)
    ready = client.get("/readyz").get_json()
    assert (ready["parts"]["installation"], ready["spool_bytes"]) == ("ok", 0), "the id is no callback"
    assert "ci_installation_lost 0.0" in client.get("/metrics").text
    forget(settings)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "degraded")
    assert ready.get_json()["parts"]["installation"] == "lost"
    assert "ci_installation_lost 1.0" in client.get("/metrics").text
    services.installation.accept()
    assert client.get("/readyz").get_json()["status"] == "ok"


def test_without_a_spool_there_is_no_id_to_compare(settings: Settings) -> None:
    """Readiness is ok."""
    app = create_app(settings)
    for role in ("relay", "worker"):
        app.extensions["services"].store.presence.here(role)
    ready = app.test_client().get("/readyz").get_json()
    assert (ready["status"], ready["parts"]["installation"]) == ("ok", "none")


def test_a_start_logs_an_empty_redis_and_continues(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The check of a start makes no id itself, and does not fail if Redis is away."""
    chosen = settings.model_copy(update={"spool_dir": tmp_path})
    check_start(chosen)
    assert not list(tmp_path.iterdir())
    installation(settings, tmp_path).state()
    check_start(chosen)
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
    forget(settings)
    check_start(chosen)
    assert "came back empty" in caplog.text
    check_start(chosen.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}"}))
