"""The values of a call to CI or COS. Only ``wire`` imports the SDK."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """The account, and how to reach it. Secrets are not in its repr."""

    secret_id: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)  # of temporary credentials
    endpoint: str | None = None  # "http://127.0.0.1:8001"; None is Tencent's own hosts
    timeout: float = 10.0  # seconds without a byte of the answer


class Place(NamedTuple):
    """A bucket and its region: they name the host."""

    bucket: str
    region: str


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str  # as it is, not encoded; begins with a slash, which is no part of an object's key
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    service: str = "ci"  # or "cos"
    fresh: bool = False  # on a connection of its own, never one that may have gone stale


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]  # looked up in any case
    body: bytes
