"""How often one caller may call: ``API_RATE``."""

from __future__ import annotations

import re
from typing import Annotated, Self

from msgspec import Struct
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

_SECONDS = {"s": 1, "min": 60, "h": 3600}
_WRITTEN = re.compile(r"(\d{1,9})\s?/\s?(s|min|h)(?:\s?,\s?burst\s(\d{1,9}))?", re.ASCII)


class Rate(Struct, frozen=True):
    """``count`` requests each ``seconds`` in the long run, and ``burst`` at once after a pause."""

    count: int
    seconds: int
    burst: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``100/s, burst 500``; without a burst it is the count. Raises ValueError."""
        match = _WRITTEN.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"is written as 100/s, 600/min or 5000/h, and a burst after it: `100/s, burst 500`; not {text[:40]!r}"
            )
        count = int(match[1])
        burst = int(match[3] or count)
        if not count or not burst:
            raise ValueError("needs at least 1 request; to have practically no limit, set a large number")
        return cls(count, _SECONDS[match[2]], burst)

    @property
    def interval(self) -> float:
        """Seconds from one request to the next in the long run."""
        return self.seconds / self.count

    def __str__(self) -> str:
        """The value of the setting."""
        unit = next(name for name, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.count}/{unit}, burst {self.burst}"


RateLimit = Annotated[
    Rate,
    NoDecode,
    BeforeValidator(lambda value: Rate.parse(value) if isinstance(value, str) else value),
]
