"""The examples of docs/streams.md, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from docs.generate import FOLDER
from harness.servers import Process, Service, as_environment, default_redis_timeout, eventually
from tests.pages.conftest import chromium  # noqa: F401 - a fixture
from tests.workers.news import tell


@pytest.fixture
def service(shared_service: Service) -> Service:
    return shared_service


def example(language: str, holding: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", (FOLDER / "streams.md").read_text(), re.S)
    (found,) = [each for each in blocks if holding in each]
    return str(found)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:  # noqa: F811
    with chromium.new_page() as tab:
        yield tab


def test_curl(service: Service, tmp_path: Path) -> None:
    """The stream on a terminal."""
    log = tmp_path / "curl.log"
    command = example("sh", "curl -N").strip()
    environment = os.environ | {"KEY": service.key, "URL": service.url}
    with Process(["sh", "-c", command], log, environment):
        eventually(lambda: "welcome" in log.read_text(), "the stream to begin")
        job_id, event_id = tell(service.services)
        eventually(lambda: f'"job_id":"{job_id}"' in log.read_text(), "the event")
        assert event_id in log.read_text()


def test_browser(service: Service, page: Page) -> None:
    """``fetch`` with the key in a header, in a real browser."""
    page.goto(f"{service.url}/")
    listen = example("javascript", "async function listen")
    page.evaluate(
        f"([url, key]) => {{ {listen}\n window.news = []; listen(url, key, (news) => window.news.push(news)) }}",
        [service.url, service.key],
    )

    def has_news() -> bool:
        tell(service.services)  # the stream may not have begun at the first
        return bool(page.evaluate("window.news.length"))

    eventually(has_news, "the news")
    (first, *_) = page.evaluate("window.news")
    assert first["kind"] in {"callback", "check"} and first["job"]["state"] == "Success"


def test_a_consumer_of_ones_own(service: Service, tmp_path: Path) -> None:
    """XREADGROUP: entries that a consumer read before it died are read again, and a long silence does not end the
    program."""
    script = tmp_path / "listen.py"
    script.write_text(example("python", "xreadgroup"))
    store = service.services.store
    key = store.db.key("events")
    log = tmp_path / "listen.log"
    command = [sys.executable, str(script), service.settings.redis_url, key]
    store.db.client.xgroup_create(key, "mine", id="$", mkstream=True)
    tell(service.services, job_id="jtaken")
    store.db.client.xreadgroup("mine", "one", {key: ">"}, count=1)
    with Process(command, log):
        tell(service.services, job_id="jlater")
        eventually(lambda: "jlater" in log.read_text(), "what came later")
        assert "jtaken" in log.read_text()
        time.sleep(default_redis_timeout() + 1)
        tell(service.services, job_id="jafter_silence")
        eventually(
            lambda: "jafter_silence" in log.read_text(), f"what came after a silence: {log.read_text()}"
        )


def test_flask_jobs_wait(service: Service) -> None:
    """It ends when the job does, prints the job, and its exit code says how the job ended."""
    job_id, _ = tell(service.services, "Running", EndTime=None)
    environment = service_environment(service)
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "app",
        "jobs",
        "wait",
        job_id,
        "--timeout",
        "60",
        "--json",
    ]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as waiting:
        tell(service.services, "Failed", job_id, Code="InternalError")
        said, _ = waiting.communicate(timeout=300)
    assert (json.loads(said)["state"], waiting.returncode) == ("Failed", 1)


def service_environment(service: Service) -> dict[str, str]:
    return os.environ | as_environment(service.settings)
