"""How a request leaves: on which connection, by which proxy, and whose certificates are trusted."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.provider import NotSent, Provider, ProviderConfig, ProviderError
from app.provider.transport import tls_context
from tests.provider.conftest import BUCKET, REGION, Scripted, answer, config

XML = b"<Request><Tag>VoiceSeparate</Tag></Request>"
OK = "<Response><JobsDetail><JobId>j1</JobId><State>Submitted</State></JobsDetail></Response>"
KEPT = answer(200, OK).replace(b"Connection: close\r\n", b"")


class Keeping:
    """A server that would answer any number of requests on one connection. ``connections`` are the requests that each
    connection carried."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.connections: list[list[bytes]] = []
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        carried: list[bytes] = []
        try:
            with self._tls.wrap_socket(connection, server_side=True) if self._tls else connection as stream:
                self.connections.append(carried)
                while request := stream.recv(65536):
                    while not _is_whole(request):
                        request += stream.recv(65536)
                    carried.append(request)
                    stream.sendall(KEPT)
        except OSError:
            return  # a client that does not trust us


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= int(length[0].partition(b":")[2] if length else 0)


def test_each_submit_has_a_connection_of_its_own() -> None:
    """A reused connection may be stale, and then it would be unknown whether CI has the job. Questions share
    connections."""
    with closing(Keeping()) as server:
        asked = Provider(config(server.url))
        for _ in range(3):
            asked.describe(BUCKET, REGION, ["j1"])
            asked.submit(BUCKET, REGION, XML)
    carried = [[request.split()[0] for request in one] for one in server.connections]
    assert sorted(carried) == [[b"GET"] * 3, [b"POST"], [b"POST"], [b"POST"]]


# ── certificates ────────────────────────────────────────────────────────────


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One for localhost that is not trusted yet, with its key in the same file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("needs openssl, to make a certificate")
    made = tmp_path / "certificate.pem"
    subprocess.run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -keyout {made} -out {tmp_path / 'c'}".split(),
        check=True,
        capture_output=True,
    )
    made.write_bytes(made.read_bytes() + (tmp_path / "c").read_bytes())
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    tls_context.cache_clear()
    yield made
    tls_context.cache_clear()


@pytest.fixture
def secured(certificate: Path) -> Iterator[Keeping]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    with closing(Keeping(tls)) as server:
        yield server


def test_a_server_with_an_untrusted_certificate_gets_nothing(secured: Keeping) -> None:
    """The handshake fails before the first byte of the request, which was certainly not sent."""
    with pytest.raises(NotSent) as caught:
        Provider(config(secured.url)).submit(BUCKET, REGION, XML)
    assert caught.value.code == "CertificateInvalid"
    assert not any(secured.connections)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_of_the_environment_is_trusted(
    name: str, secured: Keeping, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with Requests; but it is read once, since each read takes longer than the rest of a connection."""
    monkeypatch.setenv(name, str(certificate))
    asked = Provider(config(secured.url))
    for _ in range(3):
        assert asked.submit(BUCKET, REGION, XML).details[0].report.job_id == "j1"
        asked.describe(BUCKET, REGION, ["j1"])
    assert len(secured.connections) == 4
    assert tls_context.cache_info().misses == 1


# ── proxies ─────────────────────────────────────────────────────────────────


@pytest.fixture
def proxy(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    address = scripted.url.replace("http://", "http://someone:secret@")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, address)
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return scripted


def submit(endpoint: str | None) -> None:
    Provider(ProviderConfig("id-1", "key", endpoint=endpoint, timeout=60.0)).submit(BUCKET, REGION, XML)


def test_a_proxy_of_the_environment_is_used(proxy: Scripted) -> None:
    """With its name and password; without a tunnel it gets the whole URL, and the host that was signed for stays."""
    proxy.answers = [answer(200, OK)]
    submit("http://ci.example.test")
    (got,) = proxy.received
    assert got.startswith(b"POST http://ci.example.test/jobs HTTP/1.1\r\n")
    assert f"\r\nHost: {BUCKET}.ci.{REGION}.myqcloud.com\r\n".encode() in got
    assert b"\r\nProxy-Authorization: Basic c29tZW9uZTpzZWNyZXQ=\r\n".lower() in got.lower()
    assert got.endswith(XML)


def test_a_proxy_sees_nothing_of_what_is_encrypted(proxy: Scripted) -> None:
    """It is asked for a tunnel to CI's host; if it refuses, the request is not sent."""
    proxy.answers = [answer(403, "no tunnels here")]
    with pytest.raises(ProviderError):
        submit(None)
    (got,) = proxy.received
    assert got.startswith(f"CONNECT {BUCKET}.ci.{REGION}.myqcloud.com:443 HTTP/1.".encode())
    assert b"VoiceSeparate" not in got
    assert b"q-signature" not in got


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_hosts_that_the_environment_excepts_are_asked_directly(
    name: str, proxy: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, ".invalid")
    with pytest.raises(NotSent):
        submit("http://ci.invalid")
    assert proxy.received == []


def test_a_server_on_this_machine_is_asked_directly(proxy: Scripted) -> None:
    """A proxy is for other hosts."""
    with closing(Keeping()) as server:
        submit(server.url)
    assert len(server.connections) == 1
    assert proxy.received == []
