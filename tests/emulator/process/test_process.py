"""The process: it survives being killed, ends when asked, and keeps secrets out of its log."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.servers import PATIENCE_S
from tests.emulator.running import ROOT, Account, Emulator, Receiver, eventually

BUCKET = "demo-1250000000"


@pytest.fixture(name="own")
def _own(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator that a test may kill."""
    emulator = Emulator(tmp_path, "--queue-seconds", "0.2", "--run-seconds", "5", "--retry-every", "0.3")
    yield emulator
    emulator.kill()


def test_a_killed_emulator_goes_on_with_its_jobs(own: Emulator, receiver: Receiver) -> None:
    """kill -9 in the middle of a job: the next start finishes it and sends its callback."""
    account = Account(own, own.client(), BUCKET)
    job_id = account.submit(CallBack=receiver.url)
    account.wait(job_id, "Running")
    own.kill()
    own.start()
    account.wait(job_id, "Success")
    assert receiver.wait()[0].xml.findtext("JobsDetail/JobId") == job_id


def test_a_killed_emulator_goes_on_with_its_callbacks(own: Emulator) -> None:
    """It sends a callback that was not accepted before the kill, and still has its objects and queues."""
    account = Account(own, own.client(), BUCKET)
    receiver = Receiver(answers=[500] * 3)
    try:
        job_id = account.submit(CallBack=receiver.url)
        receiver.wait()
        account.queue("Paused")
        own.kill()
        own.start()
        receiver.wait(4)
        assert account.sdk.object_exists(BUCKET, f"out/{job_id}/back.mp3")
        states = {
            one["Name"]: one["State"] for one in account.sdk.ci_get_media_queue(Bucket=BUCKET)["QueueList"]
        }
        assert states["queue-speech-1"] == "Paused"
    finally:
        receiver.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_asked(own: Emulator, number: int) -> None:
    """Exit code 0 in no time, even with a connection that hangs on purpose and a callback under way."""
    account = Account(own, own.client(Timeout=30), BUCKET)
    account.fault("hang", on="submit", seconds=600)
    client = threading.Thread(target=_try, args=(account,), daemon=True)
    client.start()
    eventually(lambda: own.control("GET", "faults")["faults"][0]["hits"])
    assert own.stop(number) == 0
    client.join(PATIENCE_S)
    assert not client.is_alive()


def _try(account: Account) -> None:
    try:
        account.submit()
    except Exception:
        return


def test_its_log_holds_no_secrets(own: Emulator, receiver: Receiver) -> None:
    """No signature, key time, callback token, user data or body, also when a callback cannot be delivered."""
    account = Account(own, own.client(), BUCKET)
    account.submit(CallBack=receiver.url)
    account.submit(CallBack="http://127.0.0.1:9/callbacks/a-secret-token")
    receiver.wait()
    account.sdk.get_presigned_url(BUCKET, "k", "GET")
    eventually(lambda: "ConnectionError" in own.log.read_text())
    text = own.log.read_text()
    assert "POST /jobs submit 200" in text
    for secret in ("a-secret-token", "q-sign", "q-ak", "order-42", "<Request>"):
        assert secret not in text


def test_many_jobs_at_once_all_end(own: Emulator, receiver: Receiver) -> None:
    """A hundred submits from eight threads: a hundred jobs, a hundred callbacks, none twice."""
    account = Account(own, own.client(PoolConnections=10), BUCKET)
    threads = [
        threading.Thread(target=lambda: [account.submit(CallBack=receiver.url) for _ in range(25)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    got = receiver.wait(100)
    assert len({one.xml.findtext("JobsDetail/JobId") for one in got}) == len(got) == 100


@pytest.mark.parametrize(
    "options",
    [["--dialect", "latin"], ["--retry-times", "-1"], ["--fault", "magic"], ["--fault", "drop:times=x"]],
)
def test_a_wrong_command_line_is_refused(tmp_path: Path, options: list[str]) -> None:
    """Exit code 2 and a sentence, before anything is served."""
    done = subprocess.run(
        [sys.executable, "-m", "emulator", "--port", "0", "--data", str(tmp_path), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() and "Traceback" not in done.stderr
