"""examples/stream_consumer.mjs and examples/transcript.py, as they stand there, against the running service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.servers import Process, Service, eventually
from tests.examples.receivers import CLIENT, EXAMPLES
from tests.workers.news import tell

NODE = shutil.which("node")


@pytest.fixture
def service(shared_service: Service) -> Service:
    return shared_service


@pytest.mark.skipif(NODE is None, reason="Node is not installed: examples/stream_consumer.mjs is not run")
def test_a_consumer_in_node_leaves_nothing_out(service: Service, tmp_path: Path) -> None:
    """Killed and started again: it goes on where it was, also with what happened meanwhile, in order."""
    place, log = tmp_path / "place.txt", tmp_path / "node.log"
    environment = os.environ | {"URL": service.url, "KEY": service.key, "PLACE": str(place)}
    consumer = Process([str(NODE), str(EXAMPLES / "stream_consumer.mjs"), "Transcode"], log, environment)
    reported = []
    with consumer:
        eventually(lambda: "listening" in log.read_text(), log.read_text)
        reported += [tell(service.services, Tag="Transcode") for _ in range(5)]
        tell(service.services)
        eventually(lambda: reported[-1][1] in log.read_text(), log.read_text)
        consumer.kill()
    reported += [tell(service.services, Tag="Transcode") for _ in range(5)]
    with consumer:
        eventually(lambda: reported[-1][1] in log.read_text(), log.read_text)
    lines = [line for line in log.read_text().splitlines() if "callback" in line]
    # The last one before it was killed may come twice: its place is written after it was printed.
    assert list(dict.fromkeys(lines)) == [
        f"{event_id} callback {job_id} Success" for job_id, event_id in reported
    ]


@pytest.mark.skipif(NODE is None, reason="Node is not installed: examples/stream_consumer.mjs is not run")
def test_the_consumer_in_node_ends_with_a_wrong_key(service: Service, tmp_path: Path) -> None:
    """Trying again would not help; the key is not printed."""
    environment = os.environ | {"URL": service.url, "KEY": "wrong-key", "PLACE": str(tmp_path / "place.txt")}
    command = [str(NODE), str(EXAMPLES / "stream_consumer.mjs")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "unauthorized" in done.stderr
    assert "wrong-key" not in done.stderr


def test_from_upload_to_transcript(service: Service, tmp_path: Path) -> None:
    """The recording is uploaded, recognised and downloaded; a second start pays for no second job."""
    recording = tmp_path / "talk.mp3"
    recording.write_bytes(os.urandom(1000))
    assert service.settings.ci_endpoint
    more = {
        "URL": service.url,
        "KEY": service.key,
        "EMULATOR": service.settings.ci_endpoint.partition("//")[2],
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COS_")}
    command = [sys.executable, str(EXAMPLES / "transcript.py"), str(recording)]
    for _ in range(2):
        done = subprocess.run(
            command, env=clean | CLIENT | more, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str(tmp_path / "talk.txt")
    assert "emulat" in (tmp_path / "talk.txt").read_text()
    jobs = service.call("GET", "/v1/jobs?label.pipeline=transcript").json()["jobs"]
    assert [(job["tag"], job["state"]) for job in jobs] == [("SpeechRecognition", "Success")]
    assert jobs[0]["input"]["object"].endswith("/talk.mp3")
