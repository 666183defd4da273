"""The verdict of a review, in its Simple and its Detail form."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from app.ci.bounds import cut
from app.ci.incoming.fields import integer, many, word
from app.ci.incoming.made.result import bounded_result
from app.ci.report import JobResult, Verdict

_ELSEWHERE: Final = frozenset(
    {"JobId", "State", "CreationTime", "Object", "Url", "BucketId", "Region", "CosHeaders", "Code", "Message"}
    | {"event", "trace_id", "url", "cos_headers"}
)
"""Fields of a review that are not findings: the record has its own fields for them, ``raw`` has the headers."""

_LABELS: Final = {"Terrorist": "Terrorism"}
"""Labels that the Simple form names differently from the Detail form."""

_INFO, _DEPTH = "info", 6


class _Scene(NamedTuple):
    """One category of a review: ``PornInfo``, ``ads_info``, …; ordered by severity."""

    hit: bool
    score: int
    label: str


def review(event: str | None, found: dict[str, Any]) -> JobResult | None:
    """The findings of a Detail form's JobsDetail or a Simple form's data, with their verdict."""
    findings = {name: value for name, value in found.items() if name not in _ELSEWHERE}
    return bounded_result(event or "Review", findings, _verdict(found))


def _verdict(found: dict[str, Any]) -> Verdict | None:
    """CI's ``Label`` and ``Score``; if it gives none, those of the most severe scene. ``suggestion`` is CI's number,
    called Result in most reviews: 0 normal, 1 block, 2 review by a person."""
    suggestion = _first_integer(found, "Suggestion", "Result", "result")
    worst = max(_scenes(found, _DEPTH), default=None)
    label = word(found.get("Label"))
    if label is None and suggestion is not None:
        label = worst.label if worst and worst.hit else ("Normal" if suggestion == 0 else None)
    score = _first_integer(found, "Score")
    if score is None and worst and worst.score >= 0:
        score = worst.score
    if label is None and suggestion is None and score is None:
        return None
    return Verdict(label=cut("result.verdict.label", label), suggestion=suggestion, score=score)


def _first_integer(found: dict[str, Any], *names: str) -> int | None:
    return next((number for name in names if (number := integer(found.get(name))) is not None), None)


def _scenes(found: dict[str, Any], depth: int) -> Iterator[_Scene]:
    """The scenes of the whole, and of each of its pages, pictures and sections."""
    for name, value in found.items():
        for inner in many(value):
            if not isinstance(inner, dict):
                continue
            if name.lower().endswith(_INFO) and {"HitFlag", "hit_flag"} & inner.keys():
                yield _scene(name, inner)
            elif depth:
                yield from _scenes(inner, depth - 1)


def _scene(name: str, found: dict[str, Any]) -> _Scene:
    hit, score = _first_integer(found, "HitFlag", "hit_flag"), _first_integer(found, "Score", "score")
    label = name[: -len(_INFO)].rstrip("_").capitalize()
    return _Scene(bool(hit), -1 if score is None else score, _LABELS.get(label, label))
