"""The endpoints of ``FORWARD_URLS``: a URL, and filters for the events that are delivered to it."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from msgspec import Struct

from app.core.event_kinds import NEWS, subject_of
from app.settings.delivery_urls import DeliveryUrl, host_of

_FILTERS = ("tag", "state", "bucket", "on")


class Endpoint(Struct, frozen=True):
    """One entry of ``FORWARD_URLS``. ``name`` is stored and logged, so it contains no query. An empty filter matches
    all; ``on`` selects events: ``news``, or kinds of trouble."""

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
        found = DeliveryUrl.parse(text, (*_FILTERS, "name"))
        tags, states, buckets, on = (found.all(each) for each in _FILTERS)
        name = found.named(_without_query(text))
        return cls(name, found.url, tags, states, buckets, on or frozenset({NEWS}))

    def __str__(self) -> str:
        """The value of the setting."""
        filters = [("name", self.name)]
        for key, values in zip(_FILTERS, (self.tags, self.states, self.buckets, self.on), strict=True):
            filters += [(key, value) for value in sorted(values)]
        return f"{self.url}#{urlencode(filters)}"

    @property
    def host(self) -> str:
        return host_of(self.url)

    def wants(self, kind: str, tag: str | None, state: str | None, bucket: str | None) -> bool:
        pairs = ((self.tags, tag), (self.states, state), (self.buckets, bucket))
        return subject_of(kind) in self.on and all(not wanted or value in wanted for wanted, value in pairs)


def _without_query(text: str) -> str:
    parts = urlsplit(text)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
