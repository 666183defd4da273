"""Submit a VoiceSeparate job: the rules at the fields, the exact XML, then the request itself."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from typing import Any, Final

from flask import flash, redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.auth import require
from app.api.submissions import submit_once
from app.ci.outgoing import facts
from app.ci.outgoing.rules.broken import BadRequest, BrokenRule
from app.ci.outgoing.rules.field_names import FieldNames
from app.ci.outgoing.rules.rules import examine
from app.pages import blueprint, page
from app.submitter import Submitter
from app.web.describe import RepeatedAnswer, text_of
from app.web.problems import PROBLEMS, Problem
from app.web.services import services

ANY_CODEC: Final = tuple(sorted({*facts.CODECS, *facts.MUSIC_CODECS}))
FIELDS: Final = (
    ("input.object", "Recording", "Its key in the bucket, such as input/demo.mp3", ()),
    ("voice_separate.audio_mode", "Mode", "What to make of it", tuple(facts.MODES)),
    (
        "voice_separate.audio_config.codec",
        "Codec",
        "Of the outputs",
        ANY_CODEC,
    ),
    ("output.au_object", "Vocals", "Key of this output, such as output/vocals.${ext}", ()),
    ("output.object", "Background", "Key of this output", ()),
    ("output.bass_object", "Bass", "In MusicMode only", ()),
    ("output.drum_object", "Drums", "In MusicMode only", ()),
    ("user_data", "User data", "CI returns it in the callback; printable ASCII", ()),
    ("queue_id", "Queue", "Empty: CI's default", ()),
)
"""Path in the request, name, explanation, and the values if they are a closed list."""
_ONCE: Final = "once"
"""The field of the form that holds its Idempotency-Key: sent twice, it is one submission."""
_SENT_TWICE: Final = {
    "idempotency_in_flight": "CI has not answered yet. Wait a few seconds, then send the same form again: "
    "it is sent to CI only once.",
    "idempotency_mismatch": "This form was sent before, with other values. Check the request again, then send it.",
}
_LABELS: Final = {path: label for path, label, *_ in FIELDS}
_NAMES: Final = FieldNames(_LABELS)


@blueprint.get("/submit")
def submit() -> Response:
    require("submit")
    return _form({})


@blueprint.post("/submit")
def submit_form() -> Response:
    """``preview`` shows the XML; ``send`` sends it."""
    require("submit")
    given = {path: value for path, *_ in FIELDS if (value := request.form.get(path, "").strip())}
    submitter = Submitter(services())
    wanted, broken = examine(_nested(given), submitter.defaults)
    if wanted is None or any(each.severity == "error" for each in broken):
        return _form(given, broken, status=422)
    if "send" in request.form:
        return _send(given, broken)
    try:
        return _form(given, broken, xml=submitter.draft(wanted).xml.decode())
    except BadRequest as error:
        return _form(given, error.broken, status=422)


def _send(given: dict[str, str], broken: list[BrokenRule]) -> Response:
    try:
        answer = submit_once(request.form.get(_ONCE), json.dumps(_nested(given)).encode())
    except Problem as problem:
        trouble = _SENT_TWICE.get(problem.reason, problem.detail)
        return _form(given, broken, status=PROBLEMS[problem.reason][0], trouble=trouble)
    sent = json.loads(answer.text if isinstance(answer, RepeatedAnswer) else text_of(answer.document))
    if job_id := sent.get("job_id"):
        flash("CI has taken the job.")
        return redirect(url_for("pages.job", job_id=job_id), 303)
    flash(f"CI has not answered. The submission {sent['id']} is looked for in CI's list.")
    return redirect(url_for("pages.jobs"), 303)


def _form(
    given: dict[str, str],
    broken: tuple[BrokenRule, ...] | list[BrokenRule] = (),
    *,
    xml: str | None = None,
    trouble: str | None = None,
    status: int = 200,
) -> Response:
    faults, others = _placed(given, broken)
    first = next((path for path in _LABELS if path in faults), "")
    shown = {"fields": FIELDS, "given": given, "faults": faults, "first": first, "others": others}
    shown["once"] = (status != 422 and request.form.get(_ONCE)) or secrets.token_hex(8)
    return page("submit.html", status, **shown, xml=xml, trouble=trouble)


def _placed(given: dict[str, str], broken: Iterable[BrokenRule]) -> tuple[dict[str, list[str]], list[str]]:
    """The broken rules at the fields of the form, and those of fields that it does not have."""
    at: dict[str, list[str]] = {}
    others: list[str] = []
    for each in broken:
        path = _NAMES.fields(each.field, given)[0]
        if path not in _LABELS:
            others.append(f"{each.field}: {each.rule}")
        elif each.word == "missing":
            at.setdefault(path, []).append("is required")
        else:
            at.setdefault(path, []).append(_NAMES.sentence(each.rule))
    return at, others


def _nested(given: dict[str, str]) -> dict[str, Any]:
    request_: dict[str, Any] = {"tag": "VoiceSeparate"}
    for path, value in given.items():
        *parents, name = path.split(".")
        place = request_
        for each in parents:
            place = place.setdefault(each, {})
        place[name] = value
    return request_
