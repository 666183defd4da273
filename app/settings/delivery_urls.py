"""The form of an entry of ``FORWARD_URLS`` and ``CHAT_WEBHOOK``: a URL and options, ``URL#name=value&…``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from msgspec import Struct

from app.core.event_kinds import unknown_subjects

_NAME = re.compile(r"[!-{}~]{1,300}\Z")


class DeliveryUrl(Struct, frozen=True):
    """One entry. ``options`` are the pairs after its ``#``; a repeated name has several values."""

    url: str
    host: str
    options: tuple[tuple[str, str], ...]

    def one(self, name: str) -> str | None:
        """The last value of an option."""
        return dict(self.options).get(name)

    def all(self, name: str) -> frozenset[str]:
        return frozenset(value for each, value in self.options if each == name)

    @classmethod
    def parse(cls, text: str, options: Sequence[str]) -> DeliveryUrl:
        """Raises ValueError with a message for the operator, which repeats nothing of the URL but its host: path and
        query may be secrets."""
        if not text.isascii() or any(c.isspace() for c in text):
            raise ValueError("a URL contains a space or a character outside ASCII; percent-encode it")
        parts = urlsplit(text)
        host = parts.hostname
        if parts.scheme not in {"http", "https"} or not host:
            raise ValueError("an entry is not an http:// or https:// URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError(f"{host}: remove user and password from the URL")
        pairs = _options(parts, host)
        if unknown := {name for name, _ in pairs} - set(options):
            raise ValueError(f"{host}: after # there may be {', '.join(options)}; not {unknown.pop()!r}")
        url = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, ""))
        found = cls(url, host, tuple(pairs))
        if faults := unknown_subjects(found.all("on")):
            raise ValueError(f"{host}: on is {'; '.join(faults)}")
        return found

    def named(self, default: str) -> str:
        """The option ``name``, or ``default``. It is stored and logged. Raises ValueError."""
        name = self.one("name") or default
        if not _NAME.match(name):
            raise ValueError(f"{self.host}: a name is printable ASCII without space or |")
        return name


def host_of(url: str) -> str:
    """The label in metrics: paths and queries may hold secrets."""
    return urlsplit(url).hostname or ""


class Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


def distinct_names(entries: Iterable[N]) -> tuple[N, ...]:
    """The entries; ValueError if two have one name, because they would share their deliveries."""
    by_name: dict[str, N] = {}
    for each in entries:
        if each.name in by_name:
            raise ValueError(f"two entries are called {each.name!r}; give each a name with #name=…")
        by_name[each.name] = each
    return tuple(by_name.values())


def _options(parts: SplitResult, host: str) -> list[tuple[str, str]]:
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{host}: {error}") from None
    try:
        return parse_qsl(parts.fragment, keep_blank_values=True, strict_parsing=bool(parts.fragment))
    except ValueError:
        raise ValueError(f"{host}: after # there are name=value pairs, joined by &") from None
