"""The files that a job made: ``MediaResult.OutputFile``, one or many, and files that other nodes name."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from app.ci.bounds import cut
from app.ci.incoming.fields import many, node, nodes, text, texts, word
from app.ci.incoming.limits import Budget
from app.ci.incoming.made.nodes import made_by
from app.ci.incoming.made.voice_separate import Roles, filled
from app.ci.report import Output

EMPTY_OUTPUT = 100
"""Length of an output with empty fields in a record."""

MAX_SEPARATED = 100
"""VoiceSeparate writes four files; jobs with more outputs than this are not searched for voices."""


class _Location(NamedTuple):
    bucket: str | None
    region: str | None

    def of(self, found: dict[str, Any]) -> "_Location":
        return _Location(
            cut("outputs.bucket", word(found.get("Bucket"))) or self.bucket,
            cut("outputs.region", word(found.get("Region"))) or self.region,
        )


SPRITE = "sprite"
"""The role of a picture that shows many snapshots at once."""


class JobFacts(NamedTuple):
    """The job that the files belong to."""

    tag: str | None
    state: str | None
    id: str
    run_id: str | None


def outputs(operation: dict[str, Any], job: JobFacts, budget: Budget) -> tuple[Output, ...]:
    """Every reported file in CI's order, a snapshot's sprites last; empty until CI reports some.

    ``Operation.Output`` is only the request, possibly with wildcards: it gives the bucket and region if the report has
    none, and the names that distinguish VoiceSeparate's parts.
    """
    result = node(operation.get("MediaResult"))
    files = nodes(result.get("OutputFile"))
    asked = node(operation.get("Output"))
    here = _Location(None, None).of(asked)
    if not any(map(_has_file, [*files, result])):
        files = _named_elsewhere(operation, asked, job)
        if not files:
            return ()
    budget.count(len(files))
    found = [(place, file) for file in files for place in [here.of(file)]]
    sprites = [
        (place.of(sprite), sprite) for place, file in found for sprite in nodes(file.get("SpriteOutputFile"))
    ]
    sprites += [(here.of(sprite), sprite) for sprite in nodes(result.get("SpriteOutputFile"))]
    names = sum(len(many(file.get("ObjectName"))) for _, file in found + sprites)
    budget.count(max(0, names - len(files)))
    budget.spend(names * EMPTY_OUTPUT)
    is_separated = job.tag == "VoiceSeparate" and names <= MAX_SEPARATED
    role_of = Roles(asked, job.id, job.run_id).of if is_separated else _no_role
    # CI writes a slash before some names that have none. If the request has it too, it is part of the key.
    own = any((text(key) or "").startswith("/") for key in asked.values())
    return (
        *(each for place, file in found for each in _of_file(file, place, own, role_of, budget)),
        *(each for place, file in sprites for each in _of_file(file, place, own, _is_sprite, budget)),
    )


def _has_file(found: dict[str, Any]) -> bool:
    """Whether it names one. A name can be a number, also 0."""
    is_named = any(text(name) is not None for name in many(found.get("ObjectName")))
    return is_named or bool(nodes(found.get("SpriteOutputFile")))


def _no_role(_name: str) -> None:
    return None


def _is_sprite(_name: str) -> str:
    return SPRITE


def _named_elsewhere(operation: dict[str, Any], asked: dict[str, Any], job: JobFacts) -> list[dict[str, Any]]:
    """Files of tags for which CI reports no ``MediaResult``, in the form of an ``OutputFile``."""
    made = made_by(job.tag)
    if not made.result and not made.asked_is_made:
        return []
    results = nodes(operation.get(made.result)) if made.result else []
    files = [
        {**place, "ObjectName": names}
        for found in results
        for place in [{name: found[name] for name in ("Bucket", "Region") if name in found}]
        if (names := [key for path in made.files for key in _at(found, path)])
    ]
    if files or not made.asked_is_made or job.state != "Success":
        return files
    key = filled(text(asked.get("Object")) or "", job.id, job.run_id)
    return [{"ObjectName": key}] if key and "${" not in key else []


def _at(found: dict[str, Any], path: str) -> list[str]:
    """The object keys under a name, or under a name in a node; a URL is not a key."""
    first, _, rest = path.partition(".")
    if rest:
        return [key for inner in nodes(found.get(first)) for key in _at(inner, rest)]
    return [key for key in texts(found.get(first)) if "://" not in key]


def _of_file(
    file: dict[str, Any],
    place: _Location,
    own: bool,
    role_of: Callable[[str], str | None],
    budget: Budget,
) -> Iterator[Output]:
    prefix = cut("outputs.object", text(file.get("ObjectPrefix"))) or ""
    names, sums = texts(file.get("ObjectName")), _sums(file)
    beside = len(place.bucket or "") + len(place.region or "") + max(map(len, sums.values()), default=0)
    budget.spend(sum(map(len, names)) + len(names) * (len(prefix) + beside))
    for name in names:
        named = prefix + name
        bare = named.removeprefix("/")
        yield Output(
            role=role_of(bare),
            bucket=place.bucket,
            region=place.region,
            object=cut("outputs.object", named if own else bare),
            md5=sums.get(name.removeprefix("/")) or sums.get(bare),
        )


def _sums(file: dict[str, Any]) -> dict[str, str]:
    """MD5 by file name, which CI writes with or without the prefix. Not by position: the orders differ."""
    sums: dict[str, str] = {}
    for info in nodes(file.get("Md5Info")):
        name, md5 = text(info.get("ObjectName")), word(info.get("Md5"))
        if name and md5:
            sums.setdefault(name.removeprefix("/"), cut("outputs.md5", md5))
    return sums
