"""SDKs that speak only https reach the emulator too, on the same port."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.emulator.running import Account, Emulator


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(
        tmp_path_factory.mktemp("tls"), "--tls", "--queue-seconds", "0.1", "--run-seconds", "0.1"
    )
    yield emulator
    emulator.stop()


def certificate(emulator: Emulator) -> Path:
    return emulator.data / "tls" / "certificate.pem"


def health(emulator: Emulator, host: str = "127.0.0.1", **options: Any) -> Any:
    return requests.get(f"https://{host}:{emulator.port}/_emulator/health", timeout=10, **options).json()


def test_it_speaks_both(secured: Emulator) -> None:
    """Who trusts the certificate reads the same as over http."""
    assert health(secured, verify=str(certificate(secured))) == {"status": "ok"}
    assert secured.control("GET", "health") == {"status": "ok"}


def test_a_client_that_does_not_trust_it_fails_and_harms_no_other(secured: Emulator) -> None:
    """Nor does one who says nothing, or no TLS."""
    with pytest.raises(requests.exceptions.SSLError):
        health(secured)
    with (
        socket.create_connection(("127.0.0.1", secured.port)) as silent,
        socket.create_connection(("127.0.0.1", secured.port)) as odd,
    ):
        silent.sendall(b"\x16")
        odd.sendall(b"\x16\x00nonsense" * 9)
        assert health(secured, verify=str(certificate(secured))) == {"status": "ok"}
    assert "Traceback" not in secured.log.read_text()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "demo-1250000000.ci.ap-chongqing.myqcloud.com",
        "demo-1250000000.cos.ap-chongqing.myqcloud.com",
    ],
)
def test_the_certificate_is_good_for_the_hosts_that_sdks_make(secured: Emulator, host: str) -> None:
    """Also to a verifier that takes RFC 5280 strictly."""
    context = ssl.create_default_context(cafile=str(certificate(secured)))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(("127.0.0.1", secured.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as wrapped,
    ):
        assert wrapped.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_job_over_https(secured: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tencent's own SDK submits, reads the job, and fetches what it made."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate(secured)))
    account = Account(secured, secured.client(Scheme="https"), "secured-1250000000")
    job_id = account.submit()
    account.wait(job_id, "Success")
    body = account.sdk.get_object(account.bucket, f"out/{job_id}/voice.mp3")["Body"].get_raw_stream().read()
    assert body.startswith(b"ID3")


def test_the_certificate_stays_and_its_key_is_private(tmp_path: Path) -> None:
    """A client that trusts it once trusts it after a restart."""
    emulator = Emulator(tmp_path, "--tls")
    try:
        first = certificate(emulator).read_bytes()
        assert (certificate(emulator).with_name("key.pem").stat().st_mode & 0o077) == 0
        emulator.stop()
        emulator.start()
        assert certificate(emulator).read_bytes() == first
    finally:
        emulator.stop()


def test_without_the_option_there_is_no_https(emulator: Emulator) -> None:
    """And no key on the disk."""
    with pytest.raises(requests.exceptions.ConnectionError):
        health(emulator)
    assert not certificate(emulator).exists()


def test_the_environment_asks_for_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So `EMULATOR_TLS=1 make run` has it."""
    monkeypatch.setenv("EMULATOR_TLS", "1")
    emulator = Emulator(tmp_path)
    try:
        assert health(emulator, verify=str(certificate(emulator))) == {"status": "ok"}
    finally:
        emulator.stop()
