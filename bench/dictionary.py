"""Trains the dictionary that stored values are compressed with: ``python -m bench.dictionary``.

It adds a file to ``app/store/packing/dictionaries`` and leaves those that are there: values name the one they need.
The samples are made by our own generator: callbacks of several states in both formats, CI's answers to requests, the
reports made of them, and what submissions remember of a request.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from zstandard import train_dictionary

from app.ci.incoming.payload import parse
from app.ci.outgoing.request import SubmitRequest
from app.settings import Settings
from app.store.jobs.accept import as_body
from app.store.packing.packing import DICTIONARIES, newest
from app.store.submissions.submissions import request_of
from app.submitter.draft import draft
from bench import payloads
from harness.settings import make_settings

_FIRST = 40_001  # RFC 8878: smaller numbers may be registered one day.
_SIZE = 16_384
_SAMPLES = 400


def main() -> int:
    number = newest() + 1 if list(DICTIONARIES.glob("*.zstd")) else _FIRST
    DICTIONARIES.mkdir(exist_ok=True)
    trained = train_dictionary(_SIZE, list(_samples()), dict_id=number, level=19)
    path = DICTIONARIES / f"{number}.zstd"
    path.write_bytes(trained.as_bytes())
    print(f"{path}: {len(trained)} bytes")
    return 0


def _samples() -> Iterator[bytes]:
    settings, chance = make_settings("redis://127.0.0.1:1"), random.Random(1)
    for _ in range(_SAMPLES):
        number = f"{chance.randrange(16**8):x}"
        yield from _of_job(number, settings, chance)


def _of_job(number: str, settings: Settings, chance: random.Random) -> Iterator[bytes]:
    for body in payloads.variety(number, chance):
        yield body
        details = parse(body).details
        yield details[0].report.to_json()
    answer = parse(payloads.submitted(number)).details
    yield as_body(answer)
    yield answer[0].report.to_json()
    made = draft(settings, SubmitRequest.model_validate(payloads.request(number)))
    yield json.dumps(
        request_of(made.asked.model_dump(mode="json"), {"show": "news"}), separators=(",", ":")
    ).encode()


if __name__ == "__main__":
    raise SystemExit(main())
