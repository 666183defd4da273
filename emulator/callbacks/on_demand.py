"""Callbacks on demand (`POST /_emulator/callbacks`): for a stored job, or for one that is made for the request."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from emulator.callbacks import other_events
from emulator.callbacks.callback_request import CallbackRequest, checked_request
from emulator.callbacks.delivery import post
from emulator.callbacks.outbox import Outgoing
from emulator.jobs import ids
from emulator.jobs.jobs import STATES, TERMINAL, CallBack, Job, Plan
from emulator.jobs.render import callback, detail
from emulator.jobs.results import produce

if TYPE_CHECKING:
    from emulator.ci.queues import Queue
    from emulator.state import Emulator


def send(emulator: Emulator, fields: dict[str, Any]) -> dict[str, Any]:
    """Send callbacks now: `{"job_id", "sent": [{"state", "format", "body", "status", "error", "at"}]}`.

    Nothing is retried. The callback log lists each of them. Raises CallbackRequestError.
    """
    spec = checked_request(fields)
    job_id, bodies = _bodies(emulator, spec)
    return {
        "job_id": job_id,
        "sent": [_send_one(emulator, spec, state, body, job_id) for state, body in bodies],
    }


def _bodies(emulator: Emulator, spec: CallbackRequest) -> tuple[str | None, list[tuple[str, bytes]]]:
    """The job's id (None for a given body), and pairs of a state and the body that reports it."""
    if spec.body:
        return None, [("", spec.body.encode())] * spec.times
    states = [spec.state] * spec.times + (["Running", "Submitted"] if spec.out_of_order else [])
    if other_events.is_other(spec.tag):
        run_id = spec.job_id or other_events.new_id(spec.tag)
        made = {state: other_events.render(spec, run_id, state) for state in states}
        return run_id, [(state, made[state]) for state in states]
    job, now = _stored_or_new_job(emulator, spec), time.time()
    dialect = spec.dialect or emulator.settings.dialect
    made = {state: callback([detail(job, now, state)], spec.format, dialect) for state in states}
    return job.id, [(state, made[state]) for state in states]


def _stored_or_new_job(emulator: Emulator, spec: CallbackRequest) -> Job:
    known = emulator.jobs.get(spec.job_id) if spec.job_id else None
    if known is not None:
        return known
    job = _make_job(spec, emulator.queues.for_tag(spec.bucket, spec.tag))
    with emulator.database.transaction():
        if job.state == "Success":
            job = dataclasses.replace(job, result=produce(job, emulator.objects, emulator.templates))
        emulator.jobs.add(job)
    return job


def _make_job(spec: CallbackRequest, queue: Queue) -> Job:
    """A job that began three seconds ago and stays in the requested state. A state that CI does not have is
    sent, but the job is stored as Running."""
    now = time.time()
    final = spec.state in TERMINAL
    failed = spec.state == "Failed"
    return Job(
        id=spec.job_id or ids.job_id(spec.tag),
        submit=ids.request_id(),
        bucket=spec.bucket,
        region=spec.region,
        tag=spec.tag,
        tag_inside=False,
        queue_id=queue.id,
        queue_type=queue.category,
        input={"BucketId": spec.bucket, "Object": spec.input_object, "Region": spec.region},
        operation=_operation(spec),
        callback=CallBack("no"),
        plan=Plan(0, 0, "never"),
        state=spec.state if spec.state in STATES else "Running",
        created=now - 3,
        next_at=None,
        started=None if spec.state in {"Submitted", "Pause"} else now - 2,
        ended=now if final else None,
        code=spec.code or ("InternalError" if failed else "Success"),
        message=spec.message or ("The job failed." if failed else ""),
    )


# Where a job that is made for a callback writes, by tag; `${ext}` is the kind of file that the tag makes.
_OUTPUTS = {
    "Animation": "animation.gif",
    "DocProcess": "page-${Number}.jpg",
    "NoiseReduction": "clean.wav",
    "PicProcess": "picture.jpg",
    "PosterProduction": "poster.jpg",
    "Segment": "part-${Number}.mp4",
    "SmartCover": "cover-${Number}.jpg",
    "Snapshot": "shot-${Number}.jpg",
    "SpeechRecognition": "text.txt",
    "Translation": "text.txt",
    "Tts": "speech.mp3",
}
_WITHOUT_OUTPUT = frozenset(
    (
        *("ExtractDigitalWatermark", "FileHashCode", "MediaInfo", "QualityEstimate", "SoundHound"),
        *("VideoTag", "VideoTargetRec", "VocalScore", "WordsGeneralize"),
    )
)


def _operation(spec: CallbackRequest) -> dict[str, Any]:
    folder = "output/${jobid}/"
    key = spec.output_object or folder + _OUTPUTS.get(spec.tag, "film.mp4")
    output: dict[str, Any] = {"Region": spec.region, "Bucket": spec.bucket, "Object": key}
    tree: dict[str, Any] = {"Output": output, "UserData": spec.user_data, "JobLevel": spec.job_level}
    if spec.tag == "VoiceSeparate":
        output |= {
            "Object": spec.output_object or folder + "background.${ext}",
            "AuObject": spec.output_au_object,
        }
        separation = {"AudioMode": "AudioAndBackground", "AudioConfig": {"Codec": spec.codec}}
        return {"VoiceSeparate": separation, **tree}
    if spec.tag == "Snapshot":
        output["SpriteObject"] = folder + "sprite-${Number}.jpg"
    if spec.tag == "StreamExtract":
        del output["Object"]
        output["StreamExtract"] = [{"Index": n, "Output": f"output/stream-{n}.mp4"} for n in "01"]
    if spec.tag in _WITHOUT_OUTPUT:
        del tree["Output"]
    return tree


def _send_one(
    emulator: Emulator, spec: CallbackRequest, state: str, body: bytes, job_id: str | None
) -> dict[str, Any]:
    form = "XML" if body.lstrip().startswith(b"<") else "JSON"
    timeout = emulator.settings.callback_timeout
    attempt = post(spec.url, body, form, timeout, other_events.headers(spec))
    status = "sent" if attempt["status"] == 200 else "gave_up"
    emulator.outbox.add(
        Outgoing(job_id or "", state, spec.url, form, body, status=status, attempts=(attempt,))
    )
    return {"state": state, "format": form, "body": body.decode("utf-8", "replace"), **attempt}
