"""The Dockerfile: what `python -m deploy.image` runs, and the rules that it keeps."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.image.dockerfile import environment_of, last_of, read_stages
from harness.servers import ROOT

TEXT = (ROOT / "Dockerfile").read_text()
STAGES = read_stages(TEXT)
LAST = STAGES[-1]


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_each_base_is_a_stage_or_an_exact_version() -> None:
    named = {stage.name for stage in STAGES}
    bases = [stage.base for stage in STAGES if stage.base not in named]
    assert bases
    assert all(re.search(r":\d+\.\d+\S*$|@sha256:[0-9a-f]{64}$", base) for base in bases)


def test_the_last_stage_installs_nothing() -> None:
    runs = " ".join(step.text for step in LAST.steps if step.word == "RUN")
    assert not re.search(r"\b(apt|apt-get|pip|curl|wget)\b", runs)


def test_the_image_holds_what_runs_and_nothing_else() -> None:
    """No emulator, no tests: a stage takes from the checkout only what .dockerignore lets through, too."""
    copied = {
        step.text.split()[0]
        for stage in STAGES
        for step in stage.steps
        if step.word == "COPY" and "--from" not in step.text
    }
    assert copied == {
        "app",
        "ci_callback_receiver",
        "server",
        "workers",
        "gunicorn.conf.py",
        "requirements.txt",
        "requirements-traces.txt",
    }
    passed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().split()
        if line.startswith("!")
    }
    assert passed == copied


def test_the_user_is_a_number() -> None:
    assert int(last_of(LAST, "USER").text) > 0


def test_each_command_is_in_the_exec_form() -> None:
    """So that SIGTERM reaches the process, and no shell."""
    assert last_of(LAST, "CMD").listed()[0] == "gunicorn"
    assert last_of(LAST, "HEALTHCHECK").listed() == ["python", "-m", "workers.health"]


def test_no_secret_is_set_in_the_image() -> None:
    assert set(environment_of(LAST.steps)) == {"PATH", "PYTHONUNBUFFERED", "HOST"}


@pytest.mark.parametrize("line", ["ADD a b", "VOLUME /x", 'SHELL ["sh"]', "ONBUILD RUN a"])
def test_an_instruction_that_is_not_run_here_is_refused(line: str) -> None:
    """Otherwise a rehearsal would pass it over."""
    with pytest.raises(ValueError, match=line.split(maxsplit=1)[0]):
        read_stages(f"FROM a\n{line}\n")


def test_continued_lines_are_one_step() -> None:
    (stage,) = read_stages("ARG B=x:1\nFROM ${B} AS s\n# a comment\nRUN a \\\n    && b\n")
    assert (stage.name, stage.base, stage.steps[0].text) == ("s", "x:1", "a && b")


def test_an_argument_is_what_the_builder_is_given() -> None:
    text = "ARG B=x:1\nFROM ${B} AS s\nARG TRACES=\nRUN a ${TRACES:+b}\n"
    (stage,) = read_stages(text, {"B": "x:2", "TRACES": "yes"})
    assert (stage.base, stage.steps[0].text) == ("x:2", "a ${TRACES:+b}")
    with pytest.raises(ValueError, match="no ARG TRACE"):
        read_stages(text, {"TRACE": "yes"})


def test_a_step_expands_an_argument_that_it_is_given() -> None:
    """By its shell, as in a container: the libraries for traces are installed only if the builder asks for them."""
    (step,) = (step.text for stage in STAGES for step in stage.steps if "TRACES" in step.text)
    words = step.partition("${TRACES")
    shown = f'echo "{words[1]}{words[2]}"'
    for given, said in (({}, ""), ({"TRACES": "yes"}, "-r /tmp/requirements-traces.txt")):
        done = subprocess.run(["/bin/sh", "-c", shown], env=given, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == said
