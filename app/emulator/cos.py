"""COS's endpoints for objects, as far as a media job needs them; and just enough of buckets."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from .errors import EmulatorError
from .ids import http_date
from .tree import Tree, to_xml

if TYPE_CHECKING:
    from .account import Target
    from .objects import Stored
    from .state import Emulator

MAX_OBJECT = 64 * 1024 * 1024
MAX_LISTED = 1000
_KEPT_HEADERS = ("Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Expires")
_RANGE = re.compile(r"^bytes=([0-9]*)-([0-9]*)$")


def cos_blueprint(emulator: Emulator) -> Blueprint:
    blueprint = Blueprint("cos", __name__)

    @blueprint.route("/", methods=["GET", "HEAD"])
    def bucket() -> Response:
        if request.method == "HEAD":
            return Response(headers={"x-cos-bucket-region": g.target.region})
        return _list(emulator, g.target)

    @blueprint.get("/<key:key>")  # HEAD too
    def get(key: str) -> Response:
        return _content(_find(emulator, g.target, key))

    @blueprint.put("/<key:key>")
    def put(key: str) -> Response:
        return _put(emulator, g.target, key)

    @blueprint.delete("/<key:key>")
    def delete(key: str) -> Response:
        target: Target = g.target
        emulator.objects.delete(target.bucket, key)
        return Response(status=204)

    return blueprint


def _find(emulator: Emulator, target: Target, key: str) -> Stored:
    stored = emulator.objects.get(target.bucket, key)
    if stored is None and not target.named:
        # A presigned URL of the Python SDK for a fixed address does not say which bucket it means.
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
    }
    if request.if_none_match.contains(stored.etag):
        return Response(status=304, headers={"ETag": headers["ETag"]})
    wanted = request.headers.get("Range")
    if wanted is None:
        return Response(stored.body, headers=headers)
    first, last = _range(wanted, len(stored.body))
    headers["Content-Range"] = f"bytes {first}-{last}/{len(stored.body)}"
    headers["Content-Length"] = str(last - first + 1)
    return Response(stored.body[first : last + 1], status=206, headers=headers)


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
    return Response(headers={"ETag": f'"{stored.etag}"'})


def _list(emulator: Emulator, target: Target) -> Response:
    """Objects by prefix, in one flat list; `delimiter` is not understood."""
    prefix, marker = request.args.get("prefix", ""), request.args.get("marker", "")
    limit = min(MAX_LISTED, int(request.args.get("max-keys") or MAX_LISTED))
    found = emulator.objects.listed(target.bucket, prefix, marker, limit + 1)
    shown, more = found[:limit], len(found) > limit
    tree: Tree = {
        "Name": target.bucket,
        "Prefix": prefix,
        "Marker": marker,
        "MaxKeys": str(limit),
        "IsTruncated": "true" if more else "false",
        **({"NextMarker": shown[-1].key} if more else {}),
        "Contents": [{"Key": one.key, "ETag": f'"{one.etag}"', "Size": str(len(one.body))} for one in shown],
    }
    return Response(to_xml("ListBucketResult", tree, declaration=True), content_type="application/xml")
