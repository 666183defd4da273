"""A file whose answers were lost ends complete, with a real relay."""

from __future__ import annotations

from pathlib import Path

from app import create_app
from harness.emulated import Emulated
from harness.servers import Emulator, Service, Valkey, eventually, free_port
from harness.settings import make_settings
from tests.cli.submit.row_files import COMMON, HEAD, file_of, rows_of, submitted, wanted


def test_a_lost_row_is_found_by_the_relay(valkey: Valkey, emulator: Emulator, tmp_path: Path) -> None:
    """CI accepted the row and its answer was lost: the relay finds the job, and the next run counts the row as
    submitted."""
    ci, port = Emulated(emulator.url), free_port()
    settings = make_settings(
        valkey.url, public_url=f"http://127.0.0.1:{port}", ci_endpoint=ci.url, cos_bucket=ci.bucket
    )
    path = file_of(tmp_path, HEAD + rows_of(3))
    with Service(settings, port, tmp_path) as service:
        ci.fault("lost_answer", on="submit", times=1)
        runner = create_app(settings).test_cli_runner()
        arguments = ["submit", "voice-separate", *COMMON, "--from", str(path), "--parallel", "1"]
        assert runner.invoke(args=arguments).exit_code == 1

        def whole() -> bool:
            again = runner.invoke(args=arguments)
            return again.exit_code == 0 and "3 submitted before" in again.stderr

        eventually(whole, "the lost row to be found")
        assert submitted(service.services, ci) == wanted(3), "and it was sent once"
