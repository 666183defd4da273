"""Server-sent events: lines become events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import msgspec

from ci_receiver_client.documents import Gap, StreamEvent

SILENCE_S = 45.0
"""Seconds without data after which the connection is considered dead; the service sends a comment every 15 seconds."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class Reader:
    """One stream over all its connections: the position and the pause for the next connection."""

    def __init__(self, last_id: str | None) -> None:
        self.last_id = last_id
        self._failures = 0
        self._fields: dict[str, str] = {}

    def headers(self) -> dict[str, str]:
        """Those of the next connection, which begins with no half-read event."""
        self._fields = {}
        return {"Last-Event-ID": self.last_id} if self.last_id else {}

    def pause(self) -> float:
        """Seconds before the next connection; longer with each that brought no event."""
        self._failures += 1
        return float(min(_FIRST_PAUSE_S * 2 ** min(self._failures - 1, 10), _LONGEST_PAUSE_S))

    def line(self, line: str) -> StreamEvent | Gap | None:
        """The event that this line ends, if it does. Events of kinds that are not known here are left out."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            self._fields[name] = (
                f"{self._fields['data']}\n{value}" if name == "data" in self._fields else value
            )
            return None
        fields, self._fields = self._fields, {}
        return self._event(fields)

    def _event(self, fields: dict[str, str]) -> StreamEvent | Gap | None:
        data = fields.get("data", "").encode()
        match fields.get("event"):
            case "gap":
                gap = msgspec.json.decode(data, type=Gap)
                self.last_id, self._failures = gap.resumed, 0
                return gap
            case "job":
                self.last_id, self._failures = fields["id"], 0
                return msgspec.convert({**msgspec.json.decode(data), "stream_id": fields["id"]}, StreamEvent)
        return None
