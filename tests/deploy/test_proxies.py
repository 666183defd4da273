"""The examples of reverse proxies, in the real proxies: deploy/proxies."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from emulator.http import tls
from harness.servers import PATIENCE_S, ROOT, Process, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests.callbacks import body, new_job_id, outcome, path

NGINX = """user root; daemon off; pid {folder}/pid; error_log {folder}/start.log;
events {{}} http {{ {paths} include {site}; }}"""
PATHS = "".join(
    f"{kind}_temp_path {{folder}}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class Proxied(NamedTuple):
    """A receiver behind a proxy, and all that the proxy has logged."""

    web: Web
    proxy: Process
    url: str
    logs: Path
    certificate: Path

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        verify = str(self.certificate)
        return requests.request(method, self.url + path, verify=verify, timeout=PATIENCE_S, **options)

    def logged(self) -> str:
        return "".join(each.read_text() for each in [*self.logs.iterdir(), self.proxy.log] if each.exists())


def nginx(folder: Path, port: int, upstream: int, certificate: Path) -> list[str]:
    """The example, with its addresses and files replaced by those of the test."""
    replaced = {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/ci.example.com.pem": str(certificate),
        "/etc/ssl/ci.example.com.key": str(certificate.with_name("key.pem")),
        "/var/log/nginx": str(folder / "logs"),
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
    }
    site = write(ROOT / "deploy/proxies/nginx.conf", folder / "site.conf", replaced)
    main = folder / "nginx.conf"
    main.write_text(NGINX.format(folder=folder, site=site, paths=PATHS.format(folder=folder)))
    return ["nginx", "-c", str(main), "-e", str(folder / "start.log")]


def caddy(folder: Path, port: int, upstream: int, certificate: Path) -> list[str]:
    replaced = {
        "{\n\t# Faults": "{\nadmin off\nauto_https disable_redirects\n\t# Faults",
        "ci.example.com {\n": f"https://localhost:{port} {{\ntls {certificate} {certificate.with_name('key.pem')}\n",
        "/var/log/caddy": str(folder / "logs"),
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
    }
    main = write(ROOT / "deploy/proxies/Caddyfile", folder / "Caddyfile", replaced)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(main)]


def write(example: Path, target: Path, replaced: dict[str, str]) -> Path:
    text = example.read_text()
    for old, new in replaced.items():
        assert old in text, f"{example.name} no longer has {old}"
        text = text.replace(old, new)
    target.write_text(text)
    return target


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxied(request: pytest.FixtureRequest, valkey: Valkey, tmp_path: Path) -> Iterator[Proxied]:
    name = request.param.__name__
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    port = free_port()
    url = f"https://localhost:{port}"
    tls.context(tmp_path)
    certificate = tmp_path / "tls/certificate.pem"
    logs = tmp_path / "logs"
    logs.mkdir()
    settings = make_settings(valkey.url, public_url=url, trusted_proxies="127.0.0.1/32")
    with Web(settings, free_port(), tmp_path) as web:
        command = request.param(tmp_path, port, web.port, certificate)
        with Process(command, tmp_path / "proxy.log") as proxy:
            answers = lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0  # noqa: E731
            eventually(answers, lambda: f"{name} to listen: {proxy.text()}")
            yield Proxied(web, proxy, url, logs, certificate)


def test_a_callback_goes_through_and_its_token_is_in_no_log_of_the_proxy(proxied: Proxied) -> None:
    address = path(proxied.web.settings)
    token = address.rpartition("/")[2]
    job_id = new_job_id()
    assert outcome(proxied.call("POST", address, data=body(job_id))) == "accepted"
    with suppress(
        requests.ConnectionError
    ):  # a proxy may refuse by its own limit, and close while it is sent to
        proxied.call("POST", f"{address}/?a={token}", data=b"x" * 5_000_000)
    proxied.web.web.stop()
    away = proxied.call("POST", address, data=body(job_id))
    assert away.status_code == 502
    eventually(lambda: proxied.logged().count("/callbacks/[token]") >= 3, "three lines in the proxy's log")
    proxied.proxy.stop()
    assert token not in proxied.logged()


def test_a_body_that_the_receiver_refuses_reaches_it(proxied: Proxied) -> None:
    """So that it is kept as a refusal, and CI is asked."""
    large = b'{"a": "' + b"x" * proxied.web.settings.max_body + b'"}'
    answer = proxied.call("POST", path(proxied.web.settings), data=large)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")


def test_the_address_that_a_client_claims_is_dropped(proxied: Proxied) -> None:
    proxied.call("POST", "/callbacks/nonsense", data=b"{}", headers={"X-Forwarded-For": "203.0.113.9"})
    eventually(lambda: "/callbacks/" in proxied.web.web.text(), "the receiver's line")
    assert "203.0.113.9" not in proxied.web.web.text()


def test_events_pass_at_once(proxied: Proxied) -> None:
    headers = {"Authorization": f"Bearer {proxied.web.key}"}
    job_id = new_job_id()
    with proxied.call("GET", "/v1/events", headers=headers, stream=True) as stream:
        assert stream.status_code == 200
        proxied.call("POST", path(proxied.web.settings), data=body(job_id))
        assert any(job_id in line for line in stream.iter_lines(decode_unicode=True))
