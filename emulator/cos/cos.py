"""COS's endpoints for objects and bucket lists, as far as media jobs need them."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from emulator.cos.bucket_list import listed
from emulator.cos.objects import CRC64
from emulator.http.errors import EmulatorError
from emulator.http.web import Bare, path
from emulator.jobs.ids import http_date

if TYPE_CHECKING:
    from emulator.account import Target
    from emulator.cos.objects import Stored
    from emulator.state import Emulator

MAX_OBJECT = 64 * 1024 * 1024
OBJECT = "/object"  # server.py routes every object here: Werkzeug's routing would change some keys
_RESPONSE = "response-"
_KEPT_HEADERS = ("Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Expires")
_RANGE = re.compile(r"^bytes=([0-9]*)-([0-9]*)$")


def cos_blueprint(emulator: Emulator) -> Blueprint:
    blueprint = Blueprint("cos", __name__)

    @blueprint.get("/")  # HEAD too
    def bucket() -> Response:
        if request.method == "HEAD":
            return Bare(headers={"x-cos-bucket-region": g.target.region})
        return listed(emulator.objects, g.target.bucket, request.args)

    @blueprint.get(OBJECT)  # HEAD too
    def get() -> Response:
        return _content(_find(emulator, g.target, _key()))

    @blueprint.put(OBJECT)
    def put() -> Response:
        return _put(emulator, g.target, _key())

    @blueprint.delete(OBJECT)
    def delete() -> Response:
        target: Target = g.target
        emulator.objects.delete(target.bucket, _key())
        return Bare(status=204)

    return blueprint


def _key() -> str:
    """The path without its first slash; any further one is part of the key."""
    return path()[1:]


def _find(emulator: Emulator, target: Target, key: str) -> Stored:
    stored = emulator.objects.get(target.bucket, key)
    if stored is None and not target.named:
        # A presigned URL of the Python SDK for a fixed address does not name its bucket.
        stored = emulator.objects.latest(key)
    if stored is None:
        raise EmulatorError("NoSuchKey", "The specified key does not exist.")
    return stored


def _content(stored: Stored) -> Response:
    headers = {
        **stored.headers,
        "ETag": f'"{stored.etag}"',
        "Last-Modified": http_date(stored.modified),
        "Accept-Ranges": "bytes",
        "Content-Length": str(len(stored.body)),
        **_asked_headers(),
    }
    if _unchanged(stored):
        return Bare(status=304, headers={"ETag": headers["ETag"]})
    wanted = request.headers.get("Range")
    if wanted is None:
        return Bare(stored.body, headers=headers)
    first, last = _range(wanted, len(stored.body))
    headers["Content-Range"] = f"bytes {first}-{last}/{len(stored.body)}"
    headers["Content-Length"] = str(last - first + 1)
    return Bare(stored.body[first : last + 1], status=206, headers=headers)


def _asked_headers() -> dict[str, str]:
    """The answer's headers that the client asked for: `response-content-type` and the like."""
    asked = {name: value for name, value in request.args.items() if name.startswith(_RESPONSE)}
    if any(not value.isprintable() or not value.isascii() for value in asked.values()):
        raise EmulatorError("InvalidArgument", "A response-… parameter is not printable ASCII.")
    return {name.removeprefix(_RESPONSE).title(): value for name, value in asked.items()}


def _unchanged(stored: Stored) -> bool:
    """Whether the client's copy is current (304). Raises EmulatorError `PreconditionFailed` (412)."""
    since, before = request.if_modified_since, request.if_unmodified_since
    modified = int(stored.modified)
    if request.if_match and not request.if_match.contains(stored.etag):
        raise EmulatorError("PreconditionFailed", "The object is not the one that If-Match names.")
    if before and modified > before.timestamp():
        raise EmulatorError("PreconditionFailed", "The object is newer than If-Unmodified-Since.")
    if request.if_none_match:
        return request.if_none_match.contains(stored.etag)
    return since is not None and modified <= since.timestamp()


def _range(text: str, size: int) -> tuple[int, int]:
    """First and last byte of a single range. Raises EmulatorError `InvalidRange`."""
    match = _RANGE.match(text)
    first, last = match.groups() if match else ("", "")
    if first:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    elif last:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = 1, 0
    if start > end:
        raise EmulatorError("InvalidRange", "The requested range cannot be satisfied.")
    return start, end


def _put(emulator: Emulator, target: Target, key: str) -> Response:
    body = request.get_data()
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    stated = request.headers.get("Content-MD5")
    if stated and stated != base64.b64encode(digest).decode():
        raise EmulatorError("BadDigest", "Content-MD5 does not match the body.")
    kept = {name: request.headers[name] for name in _KEPT_HEADERS if request.headers.get(name)}
    given = {name.lower(): value for name, value in request.headers.items()}
    meta = {name: value for name, value in given.items() if name.startswith("x-cos-meta-")}
    stored = emulator.objects.put(target.bucket, key, body, kept | meta)
    return Bare(headers={"ETag": f'"{stored.etag}"', CRC64: stored.headers[CRC64]})
