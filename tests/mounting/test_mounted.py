"""The service as a part of another WSGI application, with gunicorn as it is deployed (docs/mounting.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from app.settings import Settings
from docs.generate import FOLDER
from harness.servers import Emulator, Service, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests.client.conftest import REQUEST
from tests.receiver.callbacks import a_token, body

PAGE = (FOLDER / "mounting.md").read_text()
SITE = """
from flask import Flask

site = Flask("mysite")


@site.get("/")
def home():
    return "my own page"
"""


class Mounted(Service):
    """The whole service, its web process under /ci of the application that docs/mounting.md shows."""

    application = "wsgi:application"

    def __init__(self, redis: Valkey, settings: Settings, port: int, folder: Path) -> None:
        self.redis = redis
        (example,) = re.findall(r"```python\n(# wsgi\.py\n.*?)```", PAGE, re.DOTALL)
        (folder / "wsgi.py").write_text(example)
        (folder / "mysite.py").write_text(SITE)
        super().__init__(settings, port, folder, PYTHONPATH=str(folder))
        self.site, self.url = self.url, f"{self.url}/ci"


@pytest.fixture(scope="module")
def mounted(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    port, folder = free_port(), tmp_path_factory.mktemp("mounted")
    (folder / "redis").mkdir()
    with Valkey(folder / "redis") as redis:
        settings = make_settings(
            redis.url,
            public_url=f"http://127.0.0.1:{port}/ci",
            ci_endpoint=emulator.url,
            spool_dir=str(folder / "spool"),
        )
        with Mounted(redis, settings, port, folder) as running:
            yield running


def test_both_applications_are_served(mounted: Mounted) -> None:
    """The site at /, the service under /ci: ready, and nothing of it at the root."""
    assert requests.get(f"{mounted.site}/", timeout=10).text == "my own page"
    assert requests.get(f"{mounted.site}/readyz", timeout=10).status_code == 404
    ready = requests.get(f"{mounted.url}/readyz", timeout=10)
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")


def test_ci_calls_back_under_the_prefix(mounted: Mounted) -> None:
    """The URL that CI is given has the prefix, and what it posts there is accepted."""
    job_id = mounted.call("POST", "/v1/jobs", json=REQUEST).json()["job_id"]
    job = mounted.ended(job_id)
    assert (job["state"], job["source"], job["verification"]) == ("Success", "callback", "token")
    answer = requests.post(f"{mounted.url}/callbacks/{a_token(mounted.settings)}", data=body(), timeout=10)
    assert answer.json()["results"][0]["outcome"] == "accepted"


def test_a_new_job_is_where_its_location_says(mounted: Mounted) -> None:
    """As a browser or a library resolves it."""
    answer = mounted.call("POST", "/v1/jobs", json=REQUEST)
    location = urljoin(answer.url, answer.headers["Location"])
    headers = {"Authorization": f"Bearer {mounted.key}"}
    assert requests.get(location, headers=headers, timeout=10).json()["job_id"] == answer.json()["job_id"]


def test_a_session_of_the_pages_is_of_the_prefix_alone(mounted: Mounted) -> None:
    """Its cookies are not sent to the rest of the site; signing in leads to a page of ours."""
    browser = requests.Session()
    form = browser.get(f"{mounted.url}/login", timeout=10).text
    (proof,) = re.findall(r'name="csrf" value="([^"]+)"', form)[:1]
    jobs = browser.post(f"{mounted.url}/login", data={"key": mounted.key, "csrf": proof}, timeout=10)
    assert jobs.url == f"{mounted.url}/"
    assert jobs.status_code == 200
    (proof,) = set(re.findall(r'name="csrf" value="([^"]+)"', jobs.text))
    nothing = browser.post(
        f"{mounted.url}/jobs/act", data={"csrf": proof, "action": "replay"}, timeout=10, allow_redirects=False
    )
    assert nothing.status_code == 303, nothing.text
    assert len(browser.cookies) == 2
    assert {cookie.path for cookie in browser.cookies} == {"/ci"}
    loaded = re.findall(r'(?:href|src)="(/[^"#?]*)', jobs.text)
    assert loaded
    assert all(address.startswith("/ci/") for address in loaded)


def test_the_threads_of_the_service_run(mounted: Mounted) -> None:
    """A callback that was spooled while Redis was away is stored when it is back, as without the site around."""
    address = f"{mounted.url}/callbacks/{a_token(mounted.settings)}"
    mounted.redis.kill()
    answer = requests.post(address, data=body(), timeout=60)
    assert answer.json()["results"][0]["outcome"] == "spooled"
    mounted.redis.start()
    job_id = answer.json()["results"][0]["job_id"]
    eventually(lambda: mounted.call("GET", f"/v1/jobs/{job_id}").ok, "the spooled callback to be stored")
    eventually(lambda: mounted.ready().get("status") == "ok", "the service to be ready again")


class Behind(Web):
    """The web process with a middleware of which only the author knows what it calls."""

    application = "wsgi:application"


def test_a_service_that_is_not_found_stops_the_start(valkey: Valkey, tmp_path: Path) -> None:
    """No worker would drain the spool: the log says what to call."""
    code = "from app import create_app\nservice = create_app()\ndef application(e, s):\n    return service(e, s)\n"
    (tmp_path / "wsgi.py").write_text(code)
    behind = Behind(make_settings(valkey.url), free_port(), tmp_path, PYTHONPATH=str(tmp_path))
    with behind.web as web:
        eventually(lambda: "app.web.lifecycle.started" in web.text(), web.text)
