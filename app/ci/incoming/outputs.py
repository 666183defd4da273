"""The files that CI reports: ``Operation.MediaResult.OutputFile`` in its one-or-many shapes."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.ci.bounds import cut
from app.ci.incoming.fields import many, node, nodes, text, texts, word
from app.ci.incoming.limits import Budget
from app.ci.incoming.voice_separate import Roles
from app.ci.report import Output

EMPTY_OUTPUT = 100
"""Characters of an output in a record before anything is in it."""

MAX_SEPARATED = 100
"""VoiceSeparate writes four files; in a job of thousands there is no voice to be looked for."""


class _Place(NamedTuple):
    bucket: str | None
    region: str | None

    def of(self, found: dict[str, Any]) -> "_Place":
        return _Place(
            cut("outputs.bucket", word(found.get("Bucket"))) or self.bucket,
            cut("outputs.region", word(found.get("Region"))) or self.region,
        )


def outputs(
    operation: dict[str, Any], tag: str | None, job_id: str, run_id: str | None, budget: Budget
) -> tuple[Output, ...]:
    """Every file reported, in CI's order, a snapshot's sprites last; empty until CI reports some.

    ``Operation.Output`` is only what was asked for, and can still hold wildcards: it gives the place where
    the report has none, and the names that distinguish VoiceSeparate's parts.
    """
    result = node(operation.get("MediaResult"))
    files = nodes(result.get("OutputFile"))
    if not files and not result.get("SpriteOutputFile"):
        return ()
    budget.count(len(files))
    asked = node(operation.get("Output"))
    here = _Place(None, None).of(asked)
    found = [(place, file) for file in files for place in [here.of(file)]]
    sprites = [
        (place.of(sprite), sprite) for place, file in found for sprite in nodes(file.get("SpriteOutputFile"))
    ]
    sprites += [(here.of(sprite), sprite) for sprite in nodes(result.get("SpriteOutputFile"))]
    found += sprites
    names = sum(len(many(file.get("ObjectName"))) for _, file in found)
    budget.count(max(0, names - len(files)))
    budget.spend(names * EMPTY_OUTPUT)
    roles = Roles(asked, job_id, run_id) if tag == "VoiceSeparate" and names <= MAX_SEPARATED else None
    # CI writes a slash before some names that have none. Where the request asked for one, it is the key's own.
    own = any((text(key) or "").startswith("/") for key in asked.values())
    return tuple(each for place, file in found for each in _of_file(file, place, own, roles, budget))


def _of_file(
    file: dict[str, Any], place: _Place, own: bool, roles: Roles | None, budget: Budget
) -> Iterator[Output]:
    prefix = cut("outputs.object", text(file.get("ObjectPrefix"))) or ""
    names, sums = texts(file.get("ObjectName")), _sums(file)
    beside = len(place.bucket or "") + len(place.region or "") + max(map(len, sums.values()), default=0)
    budget.spend(sum(map(len, names)) + len(names) * (len(prefix) + beside))
    for name in names:
        named = prefix + name
        bare = named.removeprefix("/")
        yield Output(
            role=roles.of(bare) if roles else None,
            bucket=place.bucket,
            region=place.region,
            object=cut("outputs.object", named if own else bare),
            md5=sums.get(name.removeprefix("/")) or sums.get(bare),
        )


def _sums(file: dict[str, Any]) -> dict[str, str]:
    """MD5 by name, which CI gives with or without the prefix. Never by position: the orders differ."""
    sums: dict[str, str] = {}
    for info in nodes(file.get("Md5Info")):
        name, md5 = text(info.get("ObjectName")), word(info.get("Md5"))
        if name and md5:
            sums.setdefault(name.removeprefix("/"), cut("outputs.md5", md5))
    return sums
