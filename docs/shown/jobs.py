"""Jobs of the last day, reported by callbacks, and some that the emulator of CI runs now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import qcloud_cos
import requests

from app.core.tokens import Binding
from app.submitter.callback_url import callback_url
from harness.servers import Emulator, Service, eventually

_SDK: Any = qcloud_cos  # carries no types

LOST, DOUBTED = "order-1040", "order-1037"
"""Jobs whose outputs are missing, and about which two callbacks contradict each other."""
_FILES: Final = {
    "VoiceSeparate": ("vocals.mp3", "background.mp3"),
    "Transcode": ("episode.mp4",),
    "Snapshot": ("cover.jpg",),
    "SpeechRecognition": (),
}
_AGES_MIN: Final = (
    2,
    4,
    5,
    9,
    13,
    14,
    21,
    26,
    33,
    38,
    47,
    52,
    58,
    75,
    96,
    130,
    155,
    210,
    280,
    340,
    460,
    610,
    900,
    1250,
)


@dataclass(frozen=True, slots=True)
class PastJob:
    """A job that CI ran ``age_s`` seconds ago for ``took_s`` seconds."""

    number: int
    tag: str
    state: str
    age_s: int
    took_s: int

    @property
    def user_data(self) -> str:
        return f"order-{self.number}"

    def detail(self, bucket: str, region: str) -> dict[str, Any]:
        """The JobsDetail of CI's callback."""
        outputs = [f"out/{self.user_data}/{name}" for name in _FILES[self.tag]]
        began = time.time() - self.age_s
        failed = self.state == "Failed"
        return {
            "JobId": f"j{self.number * 7919:08x}4b2e11ef9a3d525400c1",
            "Tag": self.tag,
            "State": self.state,
            "Code": "InvalidMedia" if failed else "Success",
            "Message": "The input has no audio stream" if failed else "",
            "CreationTime": _stamp(began),
            "StartTime": _stamp(began + 2),
            "EndTime": _stamp(began + 2 + self.took_s),
            "QueueId": "p2911917386e148639319e13c285cc774",
            "Input": {"BucketId": bucket, "Region": region, "Object": f"recordings/{self.number}.wav"},
            "Operation": {
                "UserData": self.user_data,
                **({} if failed else _written(outputs, bucket, region)),
            },
        }


def past_jobs() -> Iterator[PastJob]:
    """Newest first."""
    tags = ("VoiceSeparate", "VoiceSeparate", "Transcode", "VoiceSeparate", "Snapshot", "SpeechRecognition")
    for n, age in enumerate(_AGES_MIN):
        state = "Failed" if n in {5, 12} else "Success"
        yield PastJob(
            1046 - n, tags[n % len(tags)] if n > 9 else "VoiceSeparate", state, age * 60, 7 + n * 13 % 90
        )


def tell(service: Service, emulator: Emulator) -> None:
    """CI's callbacks about jobs of the past, as they would come to a queue's URL."""
    settings = service.settings
    bucket, region = str(settings.cos_bucket), str(settings.cos_region)
    url = callback_url(settings, Binding(name="console", expires=int(time.time()) + 86_400))
    cos = _cos(emulator, region)
    for job in sorted(past_jobs(), key=lambda each: -each.age_s):
        detail = job.detail(bucket, region)
        for key in detail["Operation"].get("MediaResult", {}).get("OutputFile", {}).get("ObjectName", ()):
            if job.user_data != LOST:
                cos.put_object(Bucket=bucket, Key=key, Body=b"sound")
        _post(url, detail)
        if job.user_data == DOUBTED:
            _post(url, detail | {"State": "Failed", "Code": "InternalError", "Message": "Timed out"})


def run(service: Service, emulator: Emulator) -> str:
    """Jobs that are submitted now: one waits, one runs, one has ended. The id of that one."""
    ended, running = (_submit(service, f"order-{number}") for number in (1047, 1048))
    for job_id, state in ((ended, "Running"), (ended, "Success"), (running, "Running")):
        # As long as a short recording takes.
        time.sleep(2)
        moved = requests.post(f"{emulator.url}/_emulator/jobs/{job_id}", json={"state": state}, timeout=10)
        moved.raise_for_status()
    # CI calls back at the end alone.
    service.call("POST", f"/v1/jobs/{running}/refresh").raise_for_status()
    _submit(service, "order-1049")
    return ended


def settled(service: Service) -> bool:
    """Whether everything has happened that the pictures show."""
    store = service.services.store
    jobs = service.call("GET", "/v1/jobs?limit=100").json()["jobs"]
    known = {job["user_data"]: job for job in jobs}
    wanted = len(_AGES_MIN) + 3
    return (
        len(jobs) == wanted
        and known[LOST]["outputs_ok"] is False
        and bool(known[DOUBTED]["doubt"])
        and store.failures.count() == 2
        and all(job["outputs_ok"] is not None for job in jobs if job["state"] == "Success" and job["outputs"])
        and all(run.state in {"done", "failed"} for job in jobs for run in store.runs.of_job(job["job_id"]))
    )


def wait(service: Service) -> None:
    eventually(lambda: settled(service), "the jobs to be as the pictures show them", seconds=120)


def _submit(service: Service, user_data: str) -> str:
    request = {
        "tag": "VoiceSeparate",
        "input": {"object": f"recordings/{user_data.partition('-')[2]}.wav"},
        "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
        "output": {
            "object": f"out/{user_data}/background.${{ext}}",
            "au_object": f"out/{user_data}/vocals.${{ext}}",
        },
        "user_data": user_data,
        "labels": {"show": "news"},
    }
    answer = service.call("POST", "/v1/jobs", json=request)
    answer.raise_for_status()
    job_id: str = answer.json()["job_id"]
    return job_id


def _written(objects: list[str], bucket: str, region: str) -> dict[str, Any]:
    if not objects:
        return {}
    return {"MediaResult": {"OutputFile": {"Bucket": bucket, "Region": region, "ObjectName": objects}}}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def _post(url: str, detail: dict[str, Any]) -> None:
    body = json.dumps({"EventName": "TaskFinish", "JobsDetail": [detail]})
    requests.post(url, data=body, timeout=10).raise_for_status()


def _cos(emulator: Emulator, region: str) -> Any:
    host, _, port = emulator.url.removeprefix("http://").partition(":")
    account = {"SecretId": "emulator", "SecretKey": "emulator"}
    config = _SDK.CosConfig(Scheme="http", IP=host, Port=int(port), Region=region, **account)
    return _SDK.CosS3Client(config)
