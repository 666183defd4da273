"""The values of a call to CI or COS. Only ``wire`` imports the SDK."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct, field


class ProviderConfig(Struct, frozen=True):
    """The account, and how to reach it. Secrets are not in its repr."""

    secret_id: str
    secret_key: str
    token: str | None = None  # of temporary credentials
    endpoint: str | None = None  # "http://127.0.0.1:8001"; None is Tencent's own hosts
    timeout: float = 10.0  # seconds without a byte of the answer

    def __repr__(self) -> str:
        return f"ProviderConfig({self.secret_id!r}, endpoint={self.endpoint!r})"


class Place(NamedTuple):
    """A bucket and its region: they name the host."""

    bucket: str
    region: str


class Request(Struct, frozen=True):
    method: str
    path: str  # as it is, not encoded; begins with a slash, which is no part of an object's key
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    service: str = "ci"  # or "cos"
    fresh: bool = False  # on a connection of its own, never one that may have gone stale


class Response(Struct, frozen=True):
    status: int
    headers: Mapping[str, str]  # looked up in any case
    body: bytes
