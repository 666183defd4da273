"""The real emulator as a process of its own, and a real receiver for its callbacks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import qcloud_cos
import requests

from harness.servers import PATIENCE_S, free_port

SDK: Any = qcloud_cos  # Tencent's SDK has no types
REGION = "ap-chongqing"
ROOT = Path(__file__).parents[2]


class Emulator:
    """`python -m emulator` on a port of its own, with options, once it serves."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.options = options
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start it, also after a kill: its port stays reserved, so that no other process can take it meanwhile."""
        self.log = self.data / f"log-{time.monotonic_ns()}"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "emulator",
                    "--port",
                    str(self.port),
                    "--data",
                    str(self.data),
                    *self.options,
                ],
                cwd=ROOT,
                stderr=log,
            )
        try:
            self.url = f"http://127.0.0.1:{self.port}"
            eventually(lambda: self.url in self.log.read_text())
            assert self.control("GET", "health") == {"status": "ok"}
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def control(self, method: str, path: str, tree: object = None, status: int | None = None) -> Any:
        """Call the control API; its JSON."""
        answer = requests.request(method, f"{self.url}/_emulator/{path}", json=tree, timeout=30)
        assert answer.status_code == status or (status is None and answer.ok), answer.text
        return answer.json()

    def client(self, **changes: Any) -> Any:
        """Tencent's own SDK, pointed here; it does not try again by itself."""
        config = {"Scheme": "http", "IP": "127.0.0.1", "Port": self.port, "Region": REGION}
        config |= {"SecretId": "emulator", "SecretKey": "emulator", "Timeout": 10} | changes
        return SDK.CosS3Client(SDK.CosConfig(**config), retry=0)


@dataclass
class Received:
    """One callback as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def xml(self) -> ET.Element:
        return ET.fromstring(self.body)  # noqa: S314  written by the emulator

    @property
    def states(self) -> list[str]:
        """The states of its jobs, in either format."""
        if self.body.startswith(b"<"):
            return [node.text or "" for node in self.xml.findall("JobsDetail/State")]
        jobs = self.json["JobsDetail"]
        return [job["State"] for job in (jobs if isinstance(jobs, list) else [jobs])]


@dataclass
class Receiver:
    """An HTTP server that keeps what is posted. `answers` are its next status codes; after them it answers 200."""

    answers: list[int] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append(Received(self.path, dict(self.headers.items()), body, time.time()))
                self.send_response(outer.answers.pop(0) if outer.answers else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callbacks/a-secret-token"
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()

    def wait(self, count: int = 1, seconds: float = PATIENCE_S) -> list[Received]:
        """What has come, once it is `count` or more."""
        eventually(lambda: len(self.received) >= count, seconds)
        return list(self.received)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def eventually(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """The condition's value once it is true; fails if that takes longer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.04)
    raise AssertionError(f"not within {seconds} s")


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[int, str, str]:
    """Status, code and message of the error that the SDK raises; fails if it raises none."""
    try:
        call(*args, **kwargs)
    except SDK.CosServiceError as error:
        return error.get_status_code(), error.get_error_code(), error.get_error_msg()
    raise AssertionError("not refused")


@dataclass(frozen=True)
class Account:
    """One test's own bucket, with verbs: tests in parallel do not see each other's jobs."""

    emulator: Emulator
    sdk: Any
    bucket: str

    def request(self, **changes: Any) -> dict[str, Any]:
        """A VoiceSeparate request that CI accepts; a change of None leaves a node out."""
        request = {
            "Tag": "VoiceSeparate",
            "Input": {"Object": "input/song.mp4"},
            "Operation": self.operation(),
            "CallBack": "no",
        }
        return {name: node for name, node in (request | changes).items() if node is not None}

    def operation(self, **changes: Any) -> dict[str, Any]:
        operation = {
            "VoiceSeparate": {"AudioMode": "AudioAndBackground", "AudioConfig": {"Codec": "mp3"}},
            "Output": self.output(),
            "UserData": "order-42",
        }
        return {name: node for name, node in (operation | changes).items() if node is not None}

    def output(self, **changes: Any) -> dict[str, Any]:
        output = {
            "Region": REGION,
            "Bucket": self.bucket,
            "Object": "out/${jobid}/back.${ext}",
            "AuObject": "out/${JobId}/voice.${Ext}",
        }
        return {name: node for name, node in (output | changes).items() if node is not None}

    def submit(self, **changes: Any) -> str:
        """The id of a new job."""
        return str(self.submit_all(**changes)[0]["JobId"])

    def submit_all(self, **changes: Any) -> list[dict[str, Any]]:
        answer = self.sdk.ci_create_media_jobs(Bucket=self.bucket, Jobs=self.request(**changes))
        jobs: list[dict[str, Any]] = answer["JobsDetail"]
        return jobs

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.sdk.ci_get_media_jobs(Bucket=self.bucket, JobIDs=job_id)["JobsDetail"][0]
        return job

    def wait(self, job_id: str, state: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The job, as it is when it is first seen in that state."""

        def there() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["State"] == state else None

        found: dict[str, Any] = eventually(there, seconds)
        return found

    def fault(self, kind: str, **parameters: Any) -> None:
        """Arm a fault for this bucket."""
        self.emulator.control("POST", "faults", {"kind": kind, "bucket": self.bucket, **parameters})

    def queue(self, state: str, **notify: str) -> str:
        """Set the speech queue's state and NotifyConfig; its id."""
        queues = self.sdk.ci_get_media_queue(Bucket=self.bucket)["QueueList"]
        queue_id = next(one["QueueId"] for one in queues if one["Category"] == "Speeching")
        request = {"Name": "queue-speech-1", "State": state, "NotifyConfig": notify or {"State": "Off"}}
        self.sdk.ci_update_media_queue(Bucket=self.bucket, QueueId=queue_id, Request=request)
        return str(queue_id)

    def requests(self, endpoint: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.emulator.control(
            "GET", f"requests?endpoint={endpoint}&bucket={self.bucket}"
        )["requests"]
        return found
