"""Trains the dictionary that stored values are compressed with: ``python -m bench.dictionary``.

It adds a file to ``app/store/packing/dictionaries`` and keeps existing ones: each value names its dictionary.
The samples are callbacks of every kind from our emulator of CI and the generator of the bench, CI's answers to
requests, the reports made of them, history entries, events, and the stored parts of requests.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from msgspec import to_builtins
from msgspec.json import encode
from zstandard import train_dictionary

from app.ci.incoming.payload import parse
from app.ci.outgoing.request import SubmitRequest
from app.ci.report import Report
from app.core.clock import rfc3339
from app.settings import Settings
from app.store.accept.news import as_body
from app.store.packing.packing import DICTIONARIES, newest
from app.store.submissions.submissions import request_of
from app.submitter.draft import draft
from bench import emulated, payloads
from harness.settings import make_settings

_FIRST = 40_001  # RFC 8878 reserves smaller numbers for registration.
_SIZE = 24_576
_SAMPLES = 1200


def main() -> int:
    number = newest() + 1 if list(DICTIONARIES.glob("*.zstd")) else _FIRST
    DICTIONARIES.mkdir(exist_ok=True)
    trained = train_dictionary(_SIZE, list(_samples(random.Random(1))), dict_id=number, level=19)
    path = DICTIONARIES / f"{number}.zstd"
    path.write_bytes(trained.as_bytes())
    print(f"{path}: {len(trained)} bytes")
    return 0


def _samples(chance: random.Random) -> Iterator[bytes]:
    settings = make_settings("redis://127.0.0.1:1")
    for body in emulated.emulated_bodies(_SAMPLES, chance):
        yield from _of_body(body, chance)
    for _ in range(_SAMPLES):
        yield from _of_job(f"{chance.randrange(16**8):x}", settings, chance)


def _of_body(body: bytes, chance: random.Random) -> Iterator[bytes]:
    """The body, CI's answer with the same content, and the values that are stored for them."""
    yield body
    details = parse(body).details
    if details and chance.random() < 0.3:
        yield as_body(details)
    for detail in details:
        yield detail.report.to_json()
        yield _entry(detail.report, body, chance)


def _entry(report: Report, body: bytes, chance: random.Random) -> bytes:
    """A history entry for a callback, for CI's answer to a request, or for a poll."""
    at = rfc3339(1_760_000_000_000 + chance.randrange(10**11))
    kind = chance.choice(["callback", "callback", "callback", "submit", "poll"])
    entry: dict[str, Any] = {"kind": kind, "at": at, "state": report.state}
    if kind != "callback":
        return encode(entry | {"verification": "confirmed"})
    checks = ["token", "binding"][: chance.choice([1, 2, 2])]
    form = "xml" if body.startswith(b"<") else "json"
    return encode(
        entry
        | {"verification": "token", "verified": checks, "format": form}
        | {"token": f"{chance.randrange(16**12):012x}"}
    )


def _of_job(number: str, settings: Settings, chance: random.Random) -> Iterator[bytes]:
    for body in (*payloads.variety(number, chance), payloads.submitted(number)):
        yield from _of_body(body, chance)
    made = draft(settings, SubmitRequest.model_validate(payloads.request(number)))
    yield encode(request_of(to_builtins(made.asked)))


if __name__ == "__main__":
    raise SystemExit(main())
