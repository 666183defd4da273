"""The endpoints that events are delivered to: is each address allowed, and does a server accept connections there?

Nothing is posted: an endpoint could take it for an event.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from app.core.network.outward import Blocked, Unreachable, permitted, resolved, tls
from app.doctor.finding import Finding
from app.services import Services
from app.settings.chats import Chat
from app.settings.endpoints import Endpoint

_PATIENCE_S = 5.0


def endpoints(services: Services) -> Iterator[Finding]:
    """One finding for each of FORWARD_URLS and CHAT_WEBHOOK. The URL of a chat is a secret: only its host is shown."""
    for each in services.settings.endpoints:
        yield _finding(services, each)


def _finding(services: Services, endpoint: Endpoint | Chat) -> Finding:
    what = f"endpoint {endpoint.name}"
    parts = urlsplit(endpoint.address.get_secret_value() if isinstance(endpoint, Chat) else endpoint.url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        addresses = permitted(host, resolved(host, port), services.settings.forward_allow_private)
        _connect(addresses, host, port, is_tls)
    except Blocked as error:
        return Finding("fail", what, str(error), "Until then every delivery to it fails.")
    except Unreachable as error:
        return Finding("fail", what, str(error), _todo(endpoint))
    except OSError as error:
        message = (
            f"{host}:{port} cannot be reached from here ({type(error).__name__}: {error.strerror or error})"
        )
        return Finding("fail", what, message, _todo(endpoint))
    return Finding("ok", what, f"{host}:{port} takes connections")


def _todo(endpoint: Endpoint | Chat) -> str:
    setting = "CHAT_WEBHOOK" if isinstance(endpoint, Chat) else "FORWARD_URLS"
    return (
        f"Start it, or correct {setting}. Events stay pending until FORWARD_LIFE ends; what failed: "
        "`flask failures retry`."
    )


def _connect(addresses: list[str], host: str, port: int, is_tls: bool) -> None:
    """Raises the error of the last address if none accepts a connection, or OSError for an invalid certificate."""
    failure: OSError | None = None
    for address in addresses:
        try:
            with socket.create_connection((address, port), _PATIENCE_S) as link:
                if is_tls:
                    tls().wrap_socket(link, server_hostname=host).close()
                return
        except OSError as error:
            failure = error
    if failure:
        raise failure
