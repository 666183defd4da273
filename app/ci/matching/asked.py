"""What a submission stores of its request: enough to decide whether a job can be the one it asked for."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from app.ci.incoming.made.voice_separate import ROLES
from app.ci.outgoing.operation import View, ci_name, views
from app.ci.outgoing.request import VOICE_SEPARATE, Defaults, SubmitRequest


class AskedOutput(Struct, frozen=True, kw_only=True):
    role: str | None  # vocals, background, bass, drums for VoiceSeparate; else None
    bucket: str | None
    region: str | None
    object: str  # as it was asked: wildcards are CI's to fill in


class AskedOperation(Struct, frozen=True, kw_only=True):
    """One operation; CI makes one job for each."""

    tag: str
    template_id: str | None
    audio_mode: str | None  # None under a template, and for other tags
    outputs: tuple[AskedOutput, ...]
    user_data: str | None
    job_level: str | None


class Asked(Struct, frozen=True, kw_only=True):
    bucket: str  # of the host that is asked, and so of the input
    region: str
    input_object: str | None
    input_url: str | None
    queue_id: str | None
    callback: Literal["own", "no", "foreign", "queue"]
    operations: tuple[AskedOperation, ...]


def asked(request: SubmitRequest, defaults: Defaults) -> Asked:
    """The binding of a request that has passed `rules.check`."""
    where = defaults.input(request)
    return Asked(
        bucket=where.bucket or "",
        region=where.region or "",
        input_object=request.input.object or None,
        input_url=request.input.url or None,
        queue_id=request.queue_id,
        callback=request.callback_kind,
        operations=tuple(_operation(view, where) for view in views(request)),
    )


def _operation(view: View, where: Defaults) -> AskedOperation:
    separate = None if view.template_id else view.voice_separate
    return AskedOperation(
        tag=view.tag,
        template_id=view.template_id,
        audio_mode=separate.audio_mode if separate else None,
        outputs=tuple(_outputs(view, where)),
        user_data=view.user_data,
        job_level=view.job_level,
    )


def _outputs(view: View, where: Defaults) -> Iterator[AskedOutput]:
    for name, key in view.output or ():
        if (role := ROLES.get(ci_name(name))) and key and view.output:
            yield AskedOutput(
                role=role if view.tag == VOICE_SEPARATE else None,
                bucket=view.output.bucket or where.bucket,
                region=view.output.region or where.region,
                object=key,
            )
