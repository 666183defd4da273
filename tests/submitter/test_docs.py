"""Examples of docs/submitting.md run, and what the page lists exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from app.cli.submit.command import voice_separate
from app.services import Services
from app.settings import Settings
from app.submitter.columns import columns
from harness.emulated import Emulated
from harness.servers import ROOT, as_environment

PAGE = (ROOT / "docs" / "submitting.md").read_text()


def test_the_python_example_works_without_flask(
    settings: Settings, services: Services, ci: Emulated, tmp_path: Path
) -> None:
    """As it stands, by a program without a Flask application."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    program = tmp_path / "example.py"
    program.write_text(code)
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=as_environment(settings) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    submission, job_id = done.stdout.split()
    job = services.store.jobs.get(job_id)
    assert job is not None
    assert job.submission is not None
    assert (job.submission.id, job.user_data) == (submission, "order-42")
    assert ci.statuses() == [200]


def test_every_column_is_listed() -> None:
    """And no other."""
    table = PAGE.partition("| column | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z_.]+)`", table.replace("`VoiceSeparate`", ""))) == set(columns())


def test_the_options_that_the_page_shows_exist() -> None:
    """Of `flask submit voice-separate`."""
    known = {flag for option in voice_separate.params for flag in option.opts}
    shown = re.findall(r"flask submit voice-separate (.*)", PAGE)
    assert shown
    for line in shown:
        assert set(re.findall(r"--[a-z-]+", line.partition("#")[0])) <= known | {"--help"}
