"""The endpoints of ``FORWARD_URLS``: a URL, and filters for the events that are delivered to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.core.event_kinds import NEWS, subject_of, unknown_subjects

_FILTERS = ("tag", "state", "bucket", "on")
_NAME = re.compile(r"[!-{}~]{1,300}\Z")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One of ``FORWARD_URLS``. ``name`` is stored and logged, so it holds no query. An empty filter matches all; ``on``
    says what events it gets: ``news``, or kinds of trouble."""

    name: str
    url: str
    tags: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    buckets: frozenset[str] = frozenset()
    on: frozenset[str] = frozenset({NEWS})

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """``URL`` or ``URL#tag=…&state=…&bucket=…&on=…&name=…``; a repeated filter matches any of its values.

        Raises ValueError with a message for the operator.
        """
        if not text.isascii() or any(c.isspace() for c in text):
            raise ValueError(f"{text[:100]!r} holds more than ASCII, or a space; encode it")
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{text[:100]!r} is no http:// or https:// URL")
        if parts.username is not None or parts.password is not None:
            raise ValueError(
                f"{parts.hostname}: remove user and password from the URL; deliveries are signed instead"
            )
        try:
            _ = parts.port
            pairs = parse_qsl(parts.fragment, keep_blank_values=True, strict_parsing=bool(parts.fragment))
        except ValueError as error:
            raise ValueError(f"{parts.hostname}: {error}") from None
        unknown = {key for key, _ in pairs} - {*_FILTERS, "name"}
        if unknown:
            raise ValueError(
                f"{parts.hostname}: after # there may be tag, state, bucket, on, name; not {unknown.pop()!r}"
            )
        if faults := unknown_subjects(_values(pairs, "on")):
            raise ValueError(f"{parts.hostname}: on is {'; '.join(faults)}")
        plain = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        name = dict(pairs).get("name") or plain
        if not _NAME.match(name):
            raise ValueError(f"{parts.hostname}: a name is printable ASCII without space or |")
        url = urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, ""))
        tags, states, buckets, on = (_values(pairs, key) for key in _FILTERS)
        return cls(name, url, tags, states, buckets, on or frozenset({NEWS}))

    def __str__(self) -> str:
        """As it is written in the setting."""
        filters = [("name", self.name)]
        for key, values in zip(_FILTERS, (self.tags, self.states, self.buckets, self.on), strict=True):
            filters += [(key, value) for value in sorted(values)]
        return f"{self.url}#{urlencode(filters)}"

    @property
    def host(self) -> str:
        """The label in metrics: paths and queries may hold secrets."""
        return urlsplit(self.url).hostname or ""

    def wants(self, kind: str, tag: str | None, state: str | None, bucket: str | None) -> bool:
        pairs = ((self.tags, tag), (self.states, state), (self.buckets, bucket))
        return subject_of(kind) in self.on and all(not wanted or value in wanted for wanted, value in pairs)


def distinct(endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """The endpoints; ValueError if two have one name, because they would share their deliveries."""
    by_name: dict[str, Endpoint] = {}
    for each in endpoints:
        if each.name in by_name:
            raise ValueError(f"two endpoints are called {each.name!r}; give each a name with #name=…")
        by_name[each.name] = each
    return tuple(by_name.values())


def _values(pairs: list[tuple[str, str]], key: str) -> frozenset[str]:
    return frozenset(value for name, value in pairs if name == key)
