"""The caller's address: the nearest one that is no proxy of ours, whatever a caller writes into the header."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.receiver.address import caller, is_in
from harness.servers import Valkey, Web, free_port
from harness.settings import make_settings
from tests import raw
from tests.receiver.callbacks import a_token, body, post

PROXIES = tuple(ipaddress.ip_network(each) for each in ("10.0.0.0/8", "fd00::/8", "127.0.0.1/32"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        # A direct caller is itself, whatever it writes.
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("203.0.113.9", "10.0.0.1, 198.51.100.1", "203.0.113.9"),
        # Behind a proxy it is what that proxy saw; the left of it is hearsay.
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "garbage, 198.51.100.1", "198.51.100.1"),
        # Several proxies of ours in a row.
        ("10.0.0.1", "198.51.100.1, 10.0.0.2, 10.0.0.3", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 10.0.0.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        # A proxy that says nothing, or calls by itself.
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        # IPv6, with brackets and without; addresses of the one kind in the words of the other.
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("fd00::1", "[2001:db8::5]", "2001:db8::5"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
        # With a port, as some proxies write it.
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::5]:4711", "2001:db8::5"),
        # Text that is not an address is in no list.
        ("10.0.0.1", "unknown", None),
        ("10.0.0.1", "198.51.100.1, unknown", None),
        ("10.0.0.1", "198.51.100.1, ", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1,,,", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4.5", None),
        ("10.0.0.1", "0x7f000001", None),
        ("10.0.0.1", "010.0.0.1", None),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1%eth0"),
        # A peer on a Unix socket has no address.
        ("", "198.51.100.1", None),
        (None, "198.51.100.1", None),
    ],
)
def test_the_caller_is_found(peer: str | None, forwarded: str, expected: str | None) -> None:
    found = caller(peer, forwarded, PROXIES)
    assert (str(found) if found else None) == expected


@given(st.text(max_size=50), st.ip_addresses(v=4))
def test_nothing_on_the_left_changes_the_answer(left: str, last: ipaddress.IPv4Address) -> None:
    """The caller is the last hop that a proxy of ours saw, whatever stands before it."""
    if not is_in(last, PROXIES):
        assert caller("10.0.0.1", f"{left},{last}", PROXIES) == last


HOPS = st.one_of(
    st.text(max_size=20),
    st.ip_addresses().map(str),
    st.ip_addresses(v=4).map(lambda address: f"{address}:4711"),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]:4711"),
    st.sampled_from(["10.0.0.2", "fd00::2", "127.0.0.1", "unknown", ""]),
)


@given(st.lists(HOPS, max_size=5).map(",".join))
def test_a_caller_is_an_address_that_stands_in_the_header(text: str) -> None:
    """Any text at all names one of the addresses in it, the proxy that wrote it, or none."""
    written = {found for hop in text.split(",") if (found := caller(hop.strip(), "", ()))}
    assert caller("10.0.0.1", text, PROXIES) in {None, ipaddress.ip_address("10.0.0.1"), *written}


@given(st.text(max_size=80))
def test_a_peer_without_an_address_has_none(text: str) -> None:
    """It is no declared proxy, so its header does not count."""
    try:
        expected = ipaddress.ip_address(text)
    except ValueError:
        assert caller(text, "198.51.100.1", PROXIES) is None
    else:
        assert caller(text, "", PROXIES) == expected


def test_a_unix_socket_is_a_proxy_only_when_declared() -> None:
    assert caller("", "198.51.100.1", PROXIES) is None
    assert str(caller("", "198.51.100.1", ("unix",))) == "198.51.100.1"
    assert str(caller("", "192.0.2.66, 198.51.100.1", ("unix",))) == "198.51.100.1"
    assert str(caller("", "198.51.100.1, 10.0.0.2", ("unix", *PROXIES))) == "198.51.100.1"
    assert str(caller("203.0.113.9", "198.51.100.1", ("unix",))) == "203.0.113.9"
    assert caller("10.0.0.1", "192.0.2.66, unknown", ("unix", *PROXIES)) is None


def test_without_proxies_no_header_is_read() -> None:
    assert str(caller("10.0.0.1", "198.51.100.1", ())) == "10.0.0.1"


@pytest.fixture(scope="module")
def behind(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process that accepts callbacks from two networks only, behind a proxy on this host."""
    settings = make_settings(
        valkey.url,
        verify="token,ip",
        allowed_ips="198.51.100.0/24, 2001:db8::/32",
        trusted_proxies="127.0.0.1",
    )
    with Web(settings, free_port(), tmp_path_factory.mktemp("ip"), WEB_CONCURRENCY="1") as running:
        yield running


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("198.51.100.7", 200),
        ("2001:db8::7", 200),
        ("::ffff:198.51.100.7", 200),
        ("203.0.113.9, 198.51.100.7", 200),
        ("198.51.100.7, 203.0.113.9", 403),
        ("203.0.113.9", 403),
        ("127.0.0.1", 403),
        ("198.51.100.7, garbage", 403),
        ("", 403),
        ("x" * 5000, 403),
        ("1," * 2000 + "198.51.100.7", 200),
    ],
)
def test_only_allowed_networks_are_accepted(behind: Web, forwarded: str, status: int) -> None:
    """Through real gunicorn; a good token does not help."""
    token = a_token(behind.settings)
    answer = post(behind.url, token, body(), **({"X-Forwarded-For": forwarded} if forwarded else {}))
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["reason"] == "ip_not_allowed"
    assert (
        post(behind.url, "forged", body(), **{"X-Forwarded-For": "198.51.100.7"}).json()["reason"]
        == "bad_token"
    )


def test_other_headers_are_not_read(behind: Web) -> None:
    """Only the rightmost part of the header that the declared proxies write counts."""
    for name in ("X-Real-IP", "Forwarded", "X-Client-IP", "X_Forwarded_For", "True-Client-IP", "Client-IP"):
        answer = post(behind.url, a_token(behind.settings), body(), **{name: "198.51.100.7"})
        assert answer.status_code == 403, name


def test_the_history_names_the_checks(behind: Web) -> None:
    """An entry says that token and address were checked."""
    post(behind.url, a_token(behind.settings), body(JobId="jip"), **{"X-Forwarded-For": "198.51.100.7"})
    entries = behind.call("GET", "/v1/jobs/jip/events").json()["events"]
    assert entries[0]["verified"] == ["token", "ip"]


class OnSocket(Web):
    """The web process on a Unix socket."""

    def ready(self) -> dict[str, Any]:
        return {"status": "ok"} if self.say(raw.head("GET", "/healthz")) == 200 else {}

    def say(self, *parts: bytes) -> int:
        with socket.socket(socket.AF_UNIX) as link:
            try:
                link.connect(f"{self.web.log}.s")
            except OSError:
                return 0
            return raw.converse(link, *parts).status


@pytest.mark.parametrize(("proxies", "status"), [("unix", 200), ("127.0.0.1", 403)])
def test_a_proxy_on_a_unix_socket_can_be_declared(
    valkey: Valkey, tmp_path: Path, proxies: str, status: int
) -> None:
    """It has no address, so the word ``unix`` declares it."""
    settings = make_settings(
        valkey.url, verify="token,ip", allowed_ips="198.51.100.0/24", trusted_proxies=proxies
    )
    bind = {"GUNICORN_CMD_ARGS": f"--bind unix:{tmp_path}/web.log.s --workers 1"}
    with OnSocket(settings, free_port(), tmp_path, **bind) as running:
        content = body()
        head = raw.head(
            "POST",
            f"/callbacks/{a_token(settings)}",
            f"Content-Length: {len(content)}",
            "X-Forwarded-For: 198.51.100.7",
        )
        assert running.say(head, content) == status
