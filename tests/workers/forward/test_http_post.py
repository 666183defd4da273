"""Which addresses a delivery may go to, and how long it may take."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from pydantic import SecretStr

from app.core.network.outward import Blocked, Unreachable, permitted
from app.settings.types import Network
from harness.downstream import KEY, Downstream, Reply
from harness.servers import free_port
from workers.forward import http_post
from workers.forward.http_post import PostLimits, post
from workers.forward.message import sign

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "169.254.0.23",
        "100.100.100.200", "168.63.129.16", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::",
        "::ffff:0:127.0.0.1", "::ffff:0:a00:1", "5f00::1",
    ],
)  # fmt: skip
def test_no_private_address_is_connected_to(address: str) -> None:
    """Loopback, private, link-local, multicast, a cloud's metadata; and IPv4 inside IPv6 is judged as IPv4."""
    with pytest.raises(Blocked, match="FORWARD_ALLOW_PRIVATE"):
        permitted("name.example", [address], ())


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_public_addresses_are_permitted(address: str) -> None:
    """A public address needs no setting."""
    assert permitted("name.example", [address], ()) == [address]


def test_an_allowed_address_is_chosen_of_several() -> None:
    """A name with a private and a public address is reached at the public one."""
    assert permitted("name.example", ["10.0.0.1", "1.1.1.1"], ()) == ["1.1.1.1"]


def test_a_private_network_can_be_allowed() -> None:
    """Only that network is allowed."""
    allowed = (ipaddress.ip_network("10.0.0.0/8"),)
    assert permitted("name.example", ["10.0.0.1"], allowed) == ["10.0.0.1"]
    with pytest.raises(Blocked):
        permitted("name.example", ["192.168.0.1"], allowed)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "localhost", "[::ffff:7f00:1]"])
def test_other_spellings_of_loopback_are_blocked(host: str) -> None:
    """A number, a hexadecimal form, a name, and IPv4 inside IPv6: a server that listens there gets no request."""
    with Downstream() as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises(Blocked):
            post(f"http://{host}:{port}/", b"", {}, PostLimits(2))
        assert not server.deliveries


def test_a_name_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection goes to the address that was checked, although the name has a private one a moment later (DNS
    rebinding)."""
    real, asked = socket.getaddrinfo, []

    def rebinding(host: str, *args: object, **options: object) -> object:
        if host == "rebind.example":
            asked.append(host)
            return real("1.1.1.1" if len(asked) == 1 else "127.0.0.1", *args, **options)  # type: ignore[arg-type]
        return real(host, *args, **options)  # type: ignore[arg-type]

    connected = []

    def connect(_: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(Unreachable):
        post("http://rebind.example/", b"", {}, PostLimits(2))
    assert (asked, connected) == (["rebind.example"], ["1.1.1.1"])


def test_the_host_header_has_the_name() -> None:
    """The endpoint gets the name of the URL, although the connection is made to its address."""
    with Downstream() as downstream:
        port = downstream.url.rpartition(":")[2]
        answer = post(f"http://localhost:{port}/x?y=1", b"{}", sign_for(b"{}"), PostLimits(5, LOOPBACK + V6))
        assert answer.status == 204
        (got,) = downstream.on("/x?y=1")
        assert got.headers["host"] == f"localhost:{port}"


def test_an_endpoint_that_hangs_is_given_up() -> None:
    """Silence, or an answer that comes byte by byte, ends at the timeout of the whole request."""
    with Downstream() as downstream:
        downstream.behaviours["/hangs"] = lambda *_: Reply(seconds=30)
        downstream.behaviours["/drips"] = lambda *_: Reply(200, drip=True)
        for path in ("/hangs", "/drips"):
            with pytest.raises(Unreachable, match="no answer within 1 s"):
                post(downstream.url + path, b"{}", sign_for(b"{}"), PostLimits(1, LOOPBACK))


def test_only_the_beginning_of_an_answer_is_read() -> None:
    """An answer of 5 MB is cut."""
    with Downstream() as downstream:
        downstream.behaviours["/"] = lambda *_: Reply(500, body=b"x" * 5_000_000)
        answer = post(downstream.url + "/", b"{}", sign_for(b"{}"), PostLimits(5, LOOPBACK))
        assert (answer.status, len(answer.text)) == (500, http_post._ANSWER_MAX)


def test_a_refused_connection_is_described() -> None:
    """The error says that the connection was refused."""
    with pytest.raises(Unreachable, match="refused"):
        post(f"http://127.0.0.1:{free_port()}/", b"", {}, PostLimits(2, LOOPBACK))


V6: tuple[Network, ...] = (ipaddress.ip_network("::1/128"),)


def sign_for(body: bytes) -> dict[str, str]:
    return sign((SecretStr(KEY),), "an-event", body) | {"Content-Type": "application/json"}
