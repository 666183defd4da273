"""A request of the control API for callbacks (`POST /_emulator/callbacks`): its fields, and their checks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from emulator import account

MAX_TIMES = 1000


class CallbackRequestError(ValueError):
    """A request that is not valid; the text says why, and the answer is 400."""


@dataclass(frozen=True)
class CallbackRequest:
    """What to send and where.

    `job_id` names a stored job. Without it a job is made from the other fields and stored, so that CI's
    answers agree with its callback. `times` is the number of copies. With `out_of_order` the job's older
    callbacks, Running and Submitted, follow. The tags WorkflowFinish, Probe and Review… send callbacks that
    are not about a media job. `body` is sent unchanged; then only `url`, `format` and `times` are used.
    """

    url: str
    job_id: str = ""
    tag: str = "VoiceSeparate"
    format: str = "JSON"
    state: str = "Success"
    times: int = 1
    out_of_order: bool = False
    dialect: str = ""
    bucket: str = account.DEFAULT_BUCKET
    region: str = account.DEFAULT_REGION
    input_object: str = "input/demo.mp4"
    output_object: str = ""
    output_au_object: str = "output/${jobid}/vocals.${ext}"
    codec: str = "mp3"
    user_data: str = ""
    job_level: str = "0"
    code: str = ""
    message: str = ""
    body: str = ""


def checked_request(fields: dict[str, Any]) -> CallbackRequest:
    """Check the JSON of a request. Raises CallbackRequestError."""
    known = {one.name: one for one in dataclasses.fields(CallbackRequest)}
    if set(fields) - set(known):
        raise CallbackRequestError(
            f"unknown names {sorted(set(fields) - set(known))}; there are {', '.join(known)}"
        )
    given = {name: value for name, value in fields.items() if value is not None}
    for name, value in given.items():
        kind = type(known[name].default) if name != "url" else str
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            raise CallbackRequestError(f"{name} must be {kind.__name__}")
    if not str(given.get("url", "")).startswith(("http://", "https://")):
        raise CallbackRequestError("url must be an http or https URL")
    spec = CallbackRequest(**given)
    spec = dataclasses.replace(spec, format=spec.format.upper())
    if spec.format not in {"XML", "JSON"}:
        raise CallbackRequestError("format must be XML or JSON")
    if spec.dialect not in {"", "array", "object", "wrapped", "simple"}:
        raise CallbackRequestError("dialect must be array, object, wrapped or, for a review, simple")
    if not 1 <= spec.times <= MAX_TIMES:
        raise CallbackRequestError(f"times must be 1 to {MAX_TIMES}")
    return spec
