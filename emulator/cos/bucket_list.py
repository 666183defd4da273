"""`GET /` of a bucket: its objects in the order of their keys, by prefix and up to a delimiter, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response

from emulator.account import APPID
from emulator.http.errors import EmulatorError
from emulator.http.tree import Node, Tree, to_xml
from emulator.jobs.ids import iso_date

if TYPE_CHECKING:
    from emulator.cos.objects import Objects, Stored

MAX_LISTED = 1000
_OWNER: Tree = {"ID": APPID, "DisplayName": APPID}


@dataclass(frozen=True)
class _Wanted:
    prefix: str
    marker: str
    delimiter: str
    limit: int
    encoding: str

    @property
    def name(self) -> Callable[[str], str]:
        """How a key is written: XML cannot hold every character, so SDKs ask for percent-encoding."""
        return _quoted if self.encoding else str

    def folder_of(self, key: str) -> str | None:
        """The common prefix of the key and all others up to the same delimiter; None without one."""
        end = key.find(self.delimiter, len(self.prefix)) if self.delimiter else -1
        return None if end < 0 else key[: end + len(self.delimiter)]


def listed(objects: Objects, bucket: str, params: Mapping[str, str]) -> Response:
    """The answer to a list request. Raises EmulatorError `InvalidArgument`."""
    wanted = _read(params)
    shown, folders, last, more = _page(objects, bucket, wanted)
    tree: Tree = {
        "Name": bucket,
        "Prefix": wanted.name(wanted.prefix),
        "Marker": wanted.name(wanted.marker),
        "MaxKeys": str(wanted.limit),
        "IsTruncated": "true" if more else "false",
        **({"Delimiter": wanted.name(wanted.delimiter)} if wanted.delimiter else {}),
        **({"EncodingType": wanted.encoding} if wanted.encoding else {}),
        **({"NextMarker": wanted.name(last)} if more else {}),
        "Contents": [_shown(one, wanted) for one in shown],
        "CommonPrefixes": [{"Prefix": wanted.name(one)} for one in folders],
    }
    return Response(to_xml("ListBucketResult", tree, declaration=True), content_type="application/xml")


def _read(params: Mapping[str, str]) -> _Wanted:
    size, encoding = params.get("max-keys") or str(MAX_LISTED), params.get("encoding-type", "")
    if not (size.isascii() and size.isdigit() and len(size) < 10):
        raise EmulatorError("InvalidArgument", "max-keys must be a whole number.")
    if encoding not in {"", "url"}:
        raise EmulatorError("InvalidArgument", "encoding-type must be url.")
    prefix, marker, delimiter = (params.get(name, "") for name in ("prefix", "marker", "delimiter"))
    return _Wanted(prefix, marker, delimiter, min(MAX_LISTED, int(size)), encoding)


def _page(objects: Objects, bucket: str, wanted: _Wanted) -> tuple[list[Stored], list[str], str, bool]:
    """Objects, folders, the last name of both, and whether there is more. As in COS, a folder counts as one item."""
    shown: list[Stored] = []
    folders: list[str] = []
    last = wanted.marker
    for one in objects.after(bucket, wanted.prefix, wanted.marker):
        folder = wanted.folder_of(one.key)
        if folder is not None and (folder == wanted.marker or folder in folders[-1:]):
            continue
        if len(shown) + len(folders) >= wanted.limit:
            return shown, folders, last, wanted.limit > 0
        if folder is None:
            shown.append(one)
        else:
            folders.append(folder)
        last = one.key if folder is None else folder
    return shown, folders, last, False


def _shown(stored: Stored, wanted: _Wanted) -> Node:
    return {
        "Key": wanted.name(stored.key),
        "LastModified": iso_date(stored.modified),
        "ETag": f'"{stored.etag}"',
        "Size": str(len(stored.body)),
        "Owner": _OWNER,
        "StorageClass": "STANDARD",
    }


def _quoted(text: str) -> str:
    return quote(text, safe="/")
