"""``make run``: start everything, submit a first job, print where to look, stop on Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

import psutil
import requests
from dotenv import dotenv_values

from app.services import Services
from app.settings import STACK_ENV, Settings, stack_is_up
from app.store.access.api_keys import SCOPES, key_digest
from app.submitter import SubmitRequest, Submitter
from stack import programs, valkey
from stack.layout import Layout, announce, here, remove_dead_sockets, withdraw

_READY_S = 60
_STOP_S = 60
_stop_signalled = False


def main() -> int:
    layout = here()
    if sys.argv[1:] == ["stop"]:
        return _stop_other()
    try:
        _check_free(layout)
        config = programs.write_supervisor_config(layout)
    except (RuntimeError, valkey.NoServer) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_stop)
    runner = _start(config, layout)
    announce(layout, runner.pid)
    try:
        if not _is_ready(layout, runner):
            return 0 if _stop_requested(runner) else _report_failure(layout)
        _print(_banner(layout, _first_job(layout)))
        return _watch(runner)
    finally:
        _stop(runner)
        withdraw()


def _on_stop(_number: int, _frame: FrameType | None) -> None:
    global _stop_signalled  # noqa: PLW0603 - a signal handler cannot return a value
    _stop_signalled = True


def _stop_requested(runner: subprocess.Popen[bytes]) -> bool:
    """Whether a stop was requested: Ctrl-C here, or `make stop`, which ends the runner with SIGTERM."""
    return _stop_signalled or runner.poll() in {0, -signal.SIGTERM}


def _check_free(layout: Layout) -> None:
    """Raises ``RuntimeError`` with advice if a stack is running or a port is in use."""
    if stack_is_up():
        raise RuntimeError(
            "The stack of this checkout is running already. Stop it with Ctrl-C there, or: make stop"
        )
    _end_remains()
    remove_dead_sockets()
    for name, port in (("PORT", layout.port), ("EMULATOR_PORT", layout.emulator_port)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                raise RuntimeError(
                    f"Port {port} is in use. Choose another: {name}={port + 100} make run"
                ) from None


def _end_remains() -> None:
    """End the processes of a killed runner: they are still in its session."""
    if STACK_ENV.exists():
        pid = dotenv_values(STACK_ENV).get("STACK_PID")
        if pid:
            _kill_session(int(pid))
        withdraw()


def _kill_session(session: int) -> None:
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session:
                process.kill()
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue


def _start(config: object, layout: Layout) -> subprocess.Popen[bytes]:
    """The runner, in its own session: Ctrl-C reaches only this process, which then stops the runner."""
    environment = os.environ | layout.settings() | {"HOST": "127.0.0.1", "PORT": str(layout.port)}
    environment.pop("API_KEY", None)
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]
    return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


def _is_ready(layout: Layout, runner: subprocess.Popen[bytes]) -> bool:
    _print("starting: valkey, web, worker, relay, emulator …")
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and runner.poll() is None and not _stop_signalled:
        if _answers(f"{layout.url}/readyz", "ok") and _answers(
            f"{layout.emulator_url}/_emulator/health", "ok"
        ):
            return True
        time.sleep(0.1)
    return False


def _answers(url: str, status: str) -> bool:
    try:
        answer = requests.get(url, timeout=2)
        return answer.ok and answer.json().get("status") == status
    except (requests.RequestException, ValueError):
        return False


def _services(layout: Layout) -> Services:
    return Services.open(Settings(**{k.lower(): v for k, v in layout.settings().items()}), timeout=5)  # type: ignore[arg-type]


def _first_job(layout: Layout) -> str | None:
    """The newest job; the very first start submits one, so that there is something to see."""
    services = _services(layout)
    services.store.api_keys.create("local", frozenset(SCOPES), layout.secrets()["API_KEY"], replace=True)
    newest = services.store.jobs.newest()
    if newest:
        return newest
    request = SubmitRequest.model_validate(
        {
            "input": {"object": "input/demo.mp3"},
            "voice_separate": {"audio_mode": "AudioAndBackground", "audio_config": {"codec": "mp3"}},
            "output": {"object": "output/background.${ext}", "au_object": "output/vocals.${ext}"},
            "user_data": "first-job",
        }
    )
    receipt = Submitter(services).submit(request)
    return receipt.job_ids[0] if receipt.job_ids else None


def _banner(layout: Layout, job_id: str | None) -> str:
    key = layout.secrets()["API_KEY"]
    code = _services(layout).store.sign_ins.make(key_digest(key))
    look = f"/v1/jobs/{job_id}?wait=30" if job_id else "/v1/jobs"
    return f"""
ready.

  a job     curl -s -H 'Authorization: Bearer {key}' '{layout.url}{look}'
  jobs      {layout.url}/login?code={code} (signs in once; later with the key)
  API docs  {layout.url}/docs/
  emulator  {layout.emulator_url} (stands in for CI and COS)

  .venv/bin/flask jobs list
  .venv/bin/flask submit voice-separate --input-object input/a.mp3 --audio-mode IsAudio --au-object out/a.mp3

  logs and data are in var/; stop with Ctrl-C
"""


def _watch(runner: subprocess.Popen[bytes]) -> int:
    """Print the runner's messages until a stop is requested or the runner dies; the exit code."""
    log = here().logs / "runner.log"
    log.touch()
    with log.open() as lines:
        lines.seek(0, os.SEEK_END)
        while not _stop_requested(runner):
            if runner.poll() is not None:
                sys.stderr.write(
                    "The process runner has died; stopping the rest. Start again with: make run\n"
                )
                return 1
            for line in lines:
                if "exited:" in line or "spawned:" in line or "FATAL" in line:
                    _print(line.rstrip())
            time.sleep(0.2)
    return 0


def _stop(runner: subprocess.Popen[bytes]) -> None:
    _print("stopping …")
    if runner.poll() is None:
        runner.send_signal(signal.SIGTERM)
        try:
            runner.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            runner.kill()
    _kill_session(runner.pid)
    _print("stopped.")


def _stop_other() -> int:
    if not stack_is_up():
        _print("The stack of this checkout is not running.")
        return 0
    os.kill(int(dotenv_values(STACK_ENV)["STACK_PID"] or 0), signal.SIGTERM)
    until = time.monotonic() + _STOP_S
    while stack_is_up() and time.monotonic() < until:
        time.sleep(0.1)
    return 1 if stack_is_up() else 0


def _report_failure(layout: Layout) -> int:
    sys.stderr.write(f"Not ready. The newest lines of {layout.logs}:\n")
    for path in sorted(layout.logs.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()[-8:]
        sys.stderr.write("".join(f"  {path.name}: {line}\n" for line in lines))
    return 1


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
