"""Allowed values of CallBack: a public http(s) URL, `no`, or a TDMQ queue."""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from app.ci.outgoing import facts
from app.ci.outgoing.request import MqConfig, SubmitRequest
from app.ci.outgoing.rules.broken import RuleFindings
from app.core.network.networks import is_public

_PRIVATE_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "lan", "home.arpa")
_URL_TEXT = re.compile(r"[\x21-\x7e]+\Z")
_HOST = re.compile(r"[A-Za-z0-9._-]+\Z")


def callback_rules(request: SubmitRequest) -> RuleFindings:
    """The rules of callback, its format, its type and its queue."""
    kind = request.callback_type
    if kind and kind.lower() not in [k.lower() for k in facts.CALLBACK_TYPES]:
        yield "callback_type", "callback_type", "is Url or TDMQ"
    if request.callback_format and request.callback_format.upper() not in facts.CALLBACK_FORMATS:
        yield "callback_format", "callback_format", "is JSON or XML"
    if (kind or "").upper() == "TDMQ":
        yield from _queue(request.callback_mq_config or MqConfig())
    elif request.callback_mq_config:
        yield "callback_mq_config", "mq_config_unused", "is for callback_type TDMQ only"
    if request.callback and request.callback_kind == "queue":
        yield "callback", "callback_unused", "news goes to a queue unless callback_type is Url"
    if request.callback and request.callback != "no":
        yield from _url(request.callback)


def _queue(config: MqConfig) -> RuleFindings:
    if config.mq_region not in facts.MQ_REGIONS:
        word = "mq_region" if config.mq_region else "missing"
        yield "callback_mq_config.mq_region", word, f"with TDMQ is one of {', '.join(facts.MQ_REGIONS)}"
    if config.mq_mode and config.mq_mode not in facts.MQ_MODES:
        yield "callback_mq_config.mq_mode", "mq_mode", "is Topic or Queue"
    if not config.mq_name:
        yield "callback_mq_config.mq_name", "missing", "the name of the topic or queue is required with TDMQ"


def _url(url: str) -> RuleFindings:
    host = _host(url)
    if host is None:
        yield "callback", "callback", 'is "no" or an http or https URL with a host, percent-encoded'
    elif is_private(host):
        yield "callback", "private_callback", "CI does not call private, loopback or link-local addresses"


def _host(url: str) -> str | None:
    """The host of an http(s) URL; None for anything else.

    A backslash is refused: some clients read it as a slash, and so see another host.
    """
    if not _URL_TEXT.match(url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    return host if ":" in host or _HOST.match(host) else None


def is_private(host: str) -> bool:
    """Whether a host cannot be reached from the internet, as far as its name tells (no look-up is made)."""
    name = host.rstrip(".").lower()
    address = _address(name)
    if address is None:
        return "." not in name or any(name == n or name.endswith(f".{n}") for n in _PRIVATE_NAMES)
    return not is_public(address)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        # The short, octal and hexadecimal forms that a resolver takes: 127.1, 0x7f000001, 2130706433.
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None
