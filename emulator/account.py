"""The one account that the emulator knows, and how a Host header names a bucket of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from emulator.http.errors import EmulatorError

SECRET_ID = "emulator"  # noqa: S105  published on purpose, as is the key
SECRET_KEY = "emulator"  # noqa: S105  nothing real is behind it
APPID = "1250000000"
DEFAULT_BUCKET = f"demo-{APPID}"
DEFAULT_REGION = "ap-chongqing"

# <bucket>.cos.<region>.myqcloud.com and .ci.; also <bucket>.localhost, as an endpoint.
_BUCKET_HOST = re.compile(
    r"^(?P<bucket>[a-z0-9][a-z0-9-]*-[0-9]+)\."
    r"(?:(?P<service>cos|ci|cos-internal|pic)\.(?P<region>[a-z0-9-]+)\.[a-z.]+|localhost)$"
)
_CI_HOST = re.compile(r"(?:[a-z0-9-]+\.)?ci\.[a-z0-9-]+\.[a-z.]+")
_ADDRESS = re.compile(r"^(?:[0-9.]+|\[[0-9a-f:.]+\]|localhost|[a-z0-9_-]+)$")


@dataclass(frozen=True)
class Target:
    """The bucket and region of a request. `named` is false if the host was a bare address: a presigned URL that
    the Python SDK makes for a fixed IP does not name its bucket. `region_given` is false if the host names no
    region."""

    bucket: str
    region: str
    named: bool
    region_given: bool = False

    def serves(self, region: str) -> bool:
        """Whether this host shows jobs of that region: each region is a separate service."""
        return not self.region_given or region == self.region


def owns(bucket: str) -> bool:
    """Whether a bucket belongs to the account: its name ends in the APPID."""
    return re.fullmatch(rf"[a-z0-9][a-z0-9-]*-{APPID}", bucket) is not None


def target(host: str) -> Target:
    """The bucket and region that a Host header names.

    A bare address means the default bucket. Raises EmulatorError `InvalidHost` (400) for a host that is
    neither, `AccessDenied` (403) for a bucket of another account.
    """
    name = without_port(host).lower()
    match = _BUCKET_HOST.match(name)
    if match is None:
        if _ADDRESS.match(name):
            return Target(DEFAULT_BUCKET, DEFAULT_REGION, named=False)
        raise EmulatorError("InvalidHost", f"The host {name[:100]!r} names no bucket.")
    if not owns(match["bucket"]):
        raise EmulatorError(
            "AccessDenied", f"The bucket {match['bucket']!r} belongs to another account.", 403
        )
    region_given = match["region"] is not None
    region = match["region"] or DEFAULT_REGION
    return Target(match["bucket"], region, named=True, region_given=region_given)


def is_ci_host(host: str) -> bool:
    """Whether it is a host name of CI, which has no objects; it need not name a bucket."""
    return _CI_HOST.fullmatch(without_port(host).lower()) is not None


def without_port(host: str) -> str:
    return re.sub(r":[0-9]+$", "", host.strip())
