"""An installation with one of each thing that people act on, and CI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.services import Services
from app.settings import Settings
from app.spool.aside import RECORDS
from app.spool.files import OwnFile
from app.spool.record import encode_record
from app.store import Store
from app.store.refusals.refusal import Refusal
from app.submitter import Submitter
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey, free_port
from harness.settings import make_settings
from tests.receiver.callbacks import body
from tests.store.samples import news
from tests.submitter.conftest import REQUEST
from tests.workers.news import a_failure, tell

CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
REFUSAL, DOUBTED = "0123456789ab", "jdoubted"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Its jobs wait, so that they can be cancelled."""
    with Emulator(tmp_path_factory.mktemp("patient"), free_port(), "--queue-seconds", "3600") as server:
        yield server


@pytest.fixture
def settings(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> Settings:
    ci = Emulated(emulator.url)
    return make_settings(valkey.url, ci_endpoint=ci.url, cos_bucket=ci.bucket, spool_dir=tmp_path / "spool")


@pytest.fixture
def job(services: Services) -> str:
    """One that waits at CI."""
    return Submitter(services).submit(REQUEST).job_ids[0]


@pytest.fixture
def event(services: Services) -> str:
    """One whose run is out of tries."""
    return a_failure(services)


@pytest.fixture
def refusal(store: Store) -> str:
    kept = Refusal(
        "malformed_json", "x", "t", {}, ("jrefused",), body=body(JobId="jrefused"), whole=True, id=REFUSAL
    )
    assert store.refusals.note(kept)
    return REFUSAL


@pytest.fixture
def doubted(services: Services) -> str:
    """One about which two callbacks contradict each other."""
    tell(services, "Success", DOUBTED)
    tell(services, "Failed", DOUBTED)
    found = services.store.jobs.get(DOUBTED)
    assert found and found.doubt
    return DOUBTED


@pytest.fixture
def aside(settings: Settings) -> str:
    """A record of the spool that was set aside."""
    assert settings.spool_dir
    settings.spool_dir.mkdir(exist_ok=True)
    file = OwnFile(settings.spool_dir, RECORDS)
    file.write(encode_record(news("j1")))
    file.close()
    return file.path.name


class Visitor:
    """A person at the pages, signed in."""

    def __init__(self, app: Flask, key: str) -> None:
        self._client: FlaskClient = app.test_client()
        self._send("/login", {"key": key}, at="/login")

    def send(self, path: str, **form: str) -> None:
        self._send(path, form, at="/")

    def _send(self, path: str, form: dict[str, str], at: str) -> None:
        match = CSRF.search(self._client.get(at).text)
        assert match
        answer = self._client.post(path, data={"csrf": match[1], **form})
        assert answer.status_code == 303, answer.text


@pytest.fixture
def visitor(app: Flask, key: dict[str, str]) -> Visitor:
    return Visitor(app, key["Authorization"].removeprefix("Bearer "))
