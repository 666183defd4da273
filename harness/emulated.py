"""One test's own bucket at the emulator: its requests and its faults."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import requests

REGION = "ap-chongqing"


def new_bucket() -> str:
    return f"t{secrets.token_hex(5)}-1250000000"


@dataclass(frozen=True)
class Emulated:
    """Tests that run at the same time do not see each other's requests, jobs and faults."""

    url: str
    bucket: str = field(default_factory=new_bucket)

    def fault(self, kind: str, **parameters: Any) -> None:
        """Arm a fault for this bucket."""
        wanted = {"kind": kind, "bucket": self.bucket, **parameters}
        requests.post(f"{self.url}/_emulator/faults", json=wanted, timeout=10).raise_for_status()

    def struck(self, kind: str) -> bool:
        """Whether a fault of this kind has begun; a request that it holds is listed only when it is over."""
        armed = requests.get(f"{self.url}/_emulator/faults", timeout=10).json()["faults"]
        return any(each["hits"] for each in armed if (each["kind"], each["bucket"]) == (kind, self.bucket))

    def requests(self, endpoint: str = "submit") -> list[dict[str, Any]]:
        """The requests, oldest first, with target, headers and body under ``full``."""
        query = {"endpoint": endpoint, "bucket": self.bucket, "full": "1"}
        answer = requests.get(f"{self.url}/_emulator/requests", params=query, timeout=10)
        found: list[dict[str, Any]] = answer.json()["requests"]
        return found

    def statuses(self, endpoint: str = "submit") -> list[int]:
        """The HTTP status of each answer; 0: closed without an answer."""
        return [one["status"] for one in self.requests(endpoint)]
