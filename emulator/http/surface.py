"""The emulated part of CI and COS: paths, query keys, headers. Everything else is refused.

These are allow-lists: a feature that COS gets next year is refused too. A deny-list would treat it as a plain PUT
and overwrite the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from emulator.http.errors import EmulatorError
from emulator.jobs.ids import PATTERN as ID_PATTERN

CI_ENDPOINTS = ("jobs", "queue", "template")

# CI's other paths, from its pages and its SDKs (Python, Go, Node): with an id below them, or without. A fixed address
# has no `.ci.` host to recognise them by, so their names are reserved.
_WITH_IDS = (
    *("workflow", "triggerworkflow", "workflowexecution", "inventorytriggerjob"),
    *("asrhotvocabtable", "dnadb", "dnadb_files"),
    r"(?:ai|asr|doc|file|media|pic)_?jobs",
    r"(?:ai|asr|doc|file|media|pic|speech)_?queue",
    r"(?:asr/)?(?:ai|asr|ci|doc|file|media|pic)_?buckets?",
    r"[a-z]+/(?:cancel_)?auditing",
    *("virus/detect", "posterproduction/template"),
)
_ALONE = (
    *("mediainfo", "avinfo", "snapshot", "cisnapshot", "doccompare", "playKey", "report/badcase"),
    *("ImageSearchBucket", "datasets?", "datasetbindings?", r"datasetquery/[a-z]+", "filemetas?"),
)
_CI = re.compile(rf"/(?:(?:{'|'.join((*CI_ENDPOINTS, *_WITH_IDS))})(?:/{ID_PATTERN})?|{'|'.join(_ALONE)})/?")

_PAGE = frozenset({"pageNumber", "pageSize"})
_ANSWER_HEADERS = (
    *("response-content-type", "response-content-language", "response-expires"),
    *("response-cache-control", "response-content-disposition", "response-content-encoding"),
)
_LIST_JOBS = (
    *("tag", "queueId", "orderByTime", "nextToken", "size", "states", "inputObject"),
    *("startCreationTime", "endCreationTime"),
)

# The query keys that each endpoint reads. Those of a signature are allowed in all.
QUERY: Mapping[str, frozenset[str]] = {
    "jobs.create": frozenset(),
    "jobs.listed": frozenset(_LIST_JOBS),
    "jobs.describe": frozenset(),
    "jobs.change": frozenset({"cancel"}),
    "queues.queues": frozenset({"queueIds", "state", "category"}) | _PAGE,
    "queues.update": frozenset(),
    "templates.listed": frozenset({"tag", "category", "ids", "name"}) | _PAGE,
    "templates.make": frozenset(),
    "templates.change": frozenset(),
    "templates.delete": frozenset(),
    "cos.bucket": frozenset({"prefix", "marker", "max-keys", "delimiter", "encoding-type"}),
    "cos.get": frozenset(_ANSWER_HEADERS),
    "cos.put": frozenset(),
    "cos.delete": frozenset(),
}
_LISTS = frozenset({"jobs.listed", "queues.queues", "templates.listed"})
_SIGNATURE = re.compile(r"q-[a-z-]+|x-(?:cos|ci)-security-token")

# Headers that ask COS for more than the object, with their neutral values.
_PLAIN_HEADERS = {"x-cos-storage-class": {"STANDARD"}, "x-cos-acl": {"default", "private"}}
_FREE_HEADERS = re.compile(r"x-cos-(?:meta-.*|security-token|sdk-[a-z-]+|traffic-limit)", re.DOTALL)
_ASKING = ("x-cos-", "pic-operations")


def is_ci(path: str) -> bool:
    """Whether a path is CI's, on any host; a path with a dot or a further slash is an object's."""
    return _CI.fullmatch(path) is not None


def check_query(endpoint: str, query: Iterable[tuple[str, str]]) -> None:
    """Raise EmulatorError `NotImplemented` (501) for a query key that the endpoint does not read.

    In CI's lists an empty value has no effect, and SDKs send it; elsewhere the key alone is the request: `?acl`.
    """
    for key, value in query:
        if key in QUERY[endpoint] or _SIGNATURE.fullmatch(key):
            continue
        if value or endpoint not in _LISTS:
            raise EmulatorError("NotImplemented", f"The emulator does not know the parameter {key[:100]!r}.")


def check_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Raise EmulatorError `NotImplemented` (501) for a header such as x-cos-copy-source in a request for an object."""
    for name, value in ((name.lower(), value) for name, value in headers):
        asks = name.startswith(_ASKING) and value not in _PLAIN_HEADERS.get(name, set())
        if asks and not _FREE_HEADERS.fullmatch(name):
            raise EmulatorError("NotImplemented", f"The emulator does not do what {name[:100]!r} asks for.")
