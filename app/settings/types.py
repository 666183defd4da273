"""The types of settings: how their values are written, parsed and checked."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from app.core.tokens import CallbackKey
from app.settings.chats import Chat
from app.settings.delivery_urls import distinct_names
from app.settings.endpoints import Endpoint
from app.settings.lanes import Lane, distinct_lanes
from app.settings.redis_urls import redis_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
VerifyStep = Literal["token", "ip", "binding", "confirm"]

_LEAST_BYTES, _DEFAULT_BYTES = 2**16, 2**26
_LONGEST_S = 3650 * 86400
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def _number_with_unit(units: Mapping[str, int], kind: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"\s*+(\d++(?:\.\d++)?)\s*+([A-Za-z]*+)\s*+", value)
        if match is None or match[2].lower() not in units:
            raise ValueError(
                f"{kind} is a number with one of {', '.join(u for u in units if u)}, not {value!r}"
            )
        return float(match[1]) * units[match[2].lower()]

    return read


def _comma_list(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _origin(value: str) -> str:
    """As browsers send it: https://www.rfc-editor.org/rfc/rfc6454#section-6.2."""
    if not re.fullmatch(r"https?://(?:[a-z0-9.-]++|\[[0-9a-f:]++\])(?::[0-9]{1,5})?", value):
        raise ValueError(
            f"an origin is a scheme, a host in lower case and perhaps a port, as https://app.example.com, not {value!r}"
        )
    return value


def _key_pair(value: object) -> object:
    if isinstance(value, str):
        name, _, secret = value.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", name) or len(secret) < 16:
            raise ValueError("each key is id:secret, the secret at least 16 characters long")
        return CallbackKey(name, SecretStr(secret))
    return value


def _endpoint(value: object) -> object:
    return Endpoint.parse(value) if isinstance(value, str) else value


def _chat(value: object) -> object:
    return Chat.parse(value) if isinstance(value, str) else value


def _lane(value: object) -> object:
    return Lane.parse(value) if isinstance(value, str) else value


def _webhook_key(value: SecretStr) -> SecretStr:
    kind, _, encoded = value.get_secret_value().partition("_")
    try:
        length = len(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if kind != "whsec" or not 24 <= length <= 64:
        raise ValueError(
            "each key is whsec_ and the base64 of 24 to 64 random bytes; make one with: "
            "python -c \"import base64, secrets; print('whsec_' + base64.b64encode(secrets.token_bytes(32)).decode())\""
        )
    return value


class AgeAndSize(Struct, frozen=True):
    """How long something is kept (seconds), and how many bytes it may use in total."""

    seconds: float
    size: int

    def __str__(self) -> str:
        durations = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
        sizes = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))
        return f"{_largest(self.seconds, durations)}, {_largest(self.size, sizes)}"


def _largest(number: float, units: Sequence[tuple[int, str]]) -> str:
    """The number in the largest unit of which it is a multiple."""
    whole = (f"{int(number // size)} {unit}" for size, unit in units if number % size == 0)
    return next(whole, str(number))


def _age_and_size(value: object) -> object:
    if not isinstance(value, str):
        return value
    age, _, size = value.partition(",")
    try:
        seconds: Any = _number_with_unit(_UNITS, "the first part")(age)
        most: Any = _number_with_unit(_SIZES, "the second part")(size) if size else _DEFAULT_BYTES
    except ValueError as error:
        raise ValueError(f"is a duration and a size, such as `7 d, 64 MiB`: {error}") from None
    if not 0 < seconds <= _LONGEST_S or most < _LEAST_BYTES:
        raise ValueError("needs a duration above 0 and below ten years, and at least 64 KiB")
    return AgeAndSize(seconds, int(most))


def _bucket(value: str) -> str:
    if not re.fullmatch(r".+-\d+", value):
        raise ValueError("must end in a hyphen and the APPID")
    return value


class KnownBucket(Struct, frozen=True):
    """A bucket of ours; ``region`` is ``None`` for ``COS_REGION``."""

    name: str
    region: str | None = None

    @classmethod
    def parse(cls, value: str) -> KnownBucket:
        name, colon, region = value.partition(":")
        if colon and not re.fullmatch(r"[a-z0-9-]+", region):
            raise ValueError("each bucket is name-APPID or name-APPID:region")
        return cls(_bucket(name), region or None)

    def __str__(self) -> str:
        return f"{self.name}:{self.region}" if self.region else self.name


def _known_bucket(value: object) -> object:
    return KnownBucket.parse(value) if isinstance(value, str) else value


def _one_region_each(buckets: tuple[KnownBucket, ...]) -> tuple[KnownBucket, ...]:
    if len({each.name for each in buckets}) < len(buckets):
        raise ValueError("a bucket is named twice: it has one region")
    return buckets


def _one_of_each_id(keys: tuple[CallbackKey, ...]) -> tuple[CallbackKey, ...]:
    if len({key.id for key in keys}) < len(keys):
        raise ValueError("two keys have the same id, which tokens name: give each key an id of its own")
    return keys


def _public_url(value: str | None) -> str | None:
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be http://host… or https://host…, without a query")
    return value.rstrip("/")


def _checks(value: frozenset[VerifyStep]) -> frozenset[VerifyStep]:
    if not value & {"token", "ip", "confirm"}:
        raise ValueError("needs at least one of token, ip, confirm: otherwise anyone could send callbacks")
    if "binding" in value and "token" not in value:
        raise ValueError("binding needs token: the binding is carried by the token")
    return value


def _fingerprint(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{12}", value):
        raise ValueError(
            "each is the fingerprint of a token, 12 hexadecimal digits, and not the token or its URL"
        )
    return value


PublicUrl = Annotated[str | None, AfterValidator(_public_url)]
RedisUrl = Annotated[str, AfterValidator(redis_url)]
Bucket = Annotated[str, AfterValidator(_bucket)]
Buckets = Annotated[
    tuple[Annotated[KnownBucket, BeforeValidator(_known_bucket)], ...],
    NoDecode,
    BeforeValidator(_comma_list),
    AfterValidator(_one_region_each),
]
BucketNames = Annotated[frozenset[Bucket], NoDecode, BeforeValidator(_comma_list)]
Seconds = Annotated[float, BeforeValidator(_number_with_unit(_UNITS, "a duration")), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(_number_with_unit(_SIZES, "a size")), Field(gt=0)]
RetentionLimit = Annotated[AgeAndSize, NoDecode, BeforeValidator(_age_and_size)]
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_comma_list)]
Proxies = Annotated[tuple[Network | Literal["unix"], ...], NoDecode, BeforeValidator(_comma_list)]
Origins = Annotated[
    frozenset[Annotated[str, AfterValidator(_origin)]], NoDecode, BeforeValidator(_comma_list)
]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_comma_list)]
Fingerprints = Annotated[
    frozenset[Annotated[str, AfterValidator(_fingerprint)]], NoDecode, BeforeValidator(_comma_list)
]
Key = Annotated[CallbackKey, BeforeValidator(_key_pair)]
Keys = Annotated[
    tuple[Key, ...],
    NoDecode,
    BeforeValidator(_comma_list),
    AfterValidator(_one_of_each_id),
    Field(min_length=1),
]
EndpointList = Annotated[
    tuple[Annotated[Endpoint, BeforeValidator(_endpoint)], ...],
    NoDecode,
    BeforeValidator(_comma_list),
    AfterValidator(distinct_names),
]
LaneList = Annotated[
    tuple[Annotated[Lane, BeforeValidator(_lane)], ...],
    NoDecode,
    BeforeValidator(_comma_list),
    AfterValidator(distinct_lanes),
]
ChatList = Annotated[
    tuple[Annotated[Chat, BeforeValidator(_chat)], ...],
    NoDecode,
    BeforeValidator(_comma_list),
    AfterValidator(distinct_names),
]
WebhookKeys = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_webhook_key)], ...], NoDecode, BeforeValidator(_comma_list)
]
VerifySteps = Annotated[
    frozenset[VerifyStep], NoDecode, BeforeValidator(_comma_list), AfterValidator(_checks)
]
