"""``REDIS_URL``: what it may be, and which servers it names.

No message quotes the URL, because it may hold a password.
"""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit

_OF_SENTINELS = frozenset({"sentinel_username", "sentinel_password"})
_ADDRESS = (
    "names a server that cannot be read: each is host, host:port or [IPv6 address]:port, with a port from 1 to 65535; "
    "other characters of a name or password are written as %40 and the like"
)


def redis_url(value: str) -> str:
    """The same URL. Raises ``ValueError``."""
    parts = _split(value)
    if parts.scheme not in {"redis", "rediss", "unix", "redis+sentinel"}:
        raise ValueError("must begin with redis://, rediss://, unix:// or redis+sentinel://")
    number = dict(parse_qsl(parts.query)).get("db", "")
    if parts.scheme == "redis+sentinel":
        _check_query_of_sentinels(parts)
        sentinels_in(value)
        service, _, number = parts.path.strip("/").partition("/")
        if not service:
            raise ValueError(
                "must name the service that the sentinels watch: redis+sentinel://host:port/service"
            )
    elif parts.scheme != "unix":
        _address(_hosts(parts))
        number = number or parts.path.strip("/")
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError("must end in the number of a database, or in none")
    return value


def sentinels_in(url: str) -> list[tuple[str, int | None]]:
    """Host and port of each sentinel; empty and ``None`` where the URL names none. Raises ``ValueError``."""
    return [_address(each) for each in _hosts(_split(url)).split(",")]


def _hosts(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError(_ADDRESS) from None


def _address(text: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(_ADDRESS) from None
    if port == 0:
        raise ValueError(_ADDRESS)
    return host, port


def _check_query_of_sentinels(parts: SplitResult) -> None:
    unknown = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - _OF_SENTINELS
    if unknown:
        raise ValueError(
            f"a redis+sentinel:// URL takes {' and '.join(sorted(_OF_SENTINELS))} after the ?, "
            f"not {', '.join(sorted(unknown))}"
        )
