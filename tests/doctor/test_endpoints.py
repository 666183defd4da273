"""What doctor finds out about the endpoints that events are delivered to."""

from __future__ import annotations

import ipaddress

import pytest
from pydantic import SecretStr

from app.settings.chats import Chat
from app.settings.endpoints import Endpoint
from app.settings.types import Network
from harness.downstream import Downstream
from harness.servers import free_port
from tests.cli.submit.conftest import Flask
from tests.doctor.found import findings

LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"),)


def test_an_endpoint_that_answers(flask: Flask) -> None:
    """Doctor connects and posts nothing, since the endpoint could take it for an event."""
    with Downstream() as there:
        found = findings(
            flask,
            forward_urls=(Endpoint.parse(f"{there.url}/hook#name=shop"),),
            forward_allow_private=LOOPBACK,
        )["endpoint shop"]
        assert (there.deliveries, there.unverified) == ([], [])
    assert found["level"] == "ok"


@pytest.mark.parametrize(
    ("url", "allowed", "words"),
    [
        ("http://127.0.0.1:{port}/hook", (), "FORWARD_ALLOW_PRIVATE"),
        ("http://127.0.0.1:{port}/hook", LOOPBACK, "ConnectionRefusedError"),
        ("http://nowhere.invalid/hook", LOOPBACK, "cannot be resolved"),
    ],
    ids=["private", "dead", "not in DNS"],
)
def test_an_endpoint_to_which_nothing_can_be_delivered(
    url: str, allowed: tuple[Network, ...], words: str, flask: Flask
) -> None:
    """The finding names the endpoint, the error and what to do."""
    endpoint = Endpoint.parse(url.format(port=free_port()) + "#name=shop")
    found = findings(flask, forward_urls=(endpoint,), forward_allow_private=allowed)["endpoint shop"]
    assert (found["level"], words in found["said"], bool(found["todo"])) == ("fail", True, True), found


def test_an_endpoint_whose_tls_does_not_work(flask: Flask) -> None:
    """A server accepts the connection, but does not speak TLS."""
    with Downstream() as there:
        endpoint = Endpoint.parse(there.url.replace("http:", "https:") + "/hook#name=shop")
        found = findings(flask, forward_urls=(endpoint,), forward_allow_private=LOOPBACK)["endpoint shop"]
    assert (found["level"], "SSL" in found["said"]) == ("fail", True), found


def test_the_address_of_a_chat_is_not_shown(flask: Flask) -> None:
    """Its path is a secret."""
    chat = Chat("ops", "slack", SecretStr(f"http://127.0.0.1:{free_port()}/very-secret-path"))
    found = findings(flask, chat_webhook=(chat,), forward_allow_private=LOOPBACK)["endpoint ops"]
    assert (found["level"], "CHAT_WEBHOOK" in found["todo"]) == ("fail", True)
    assert "very-secret-path" not in str(found)
