"""Untrusted text never controls a terminal, whatever command shows it."""

from __future__ import annotations

import json

import pytest

from harness.emulated import Emulated
from tests.api.stored import put
from tests.cli.shell import CI_FAULT, SUBMIT, Shell

NASTY = "a\x9b31m\x85\u202egnp\u2066\u2028b"

COMMANDS = [
    ("jobs", "show", "j1"),
    ("jobs", "show", "j1", "--json"),
    ("jobs", "list"),
    ("jobs", "list", "--json"),
    ("jobs", "export"),
]


def is_harmless(text: str) -> bool:
    return text.replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_text_of_a_job_is_escaped_in_a_terminal(shell: Shell, command: tuple[str, ...]) -> None:
    """In every field; JSON has the original text."""
    put(
        shell.store,
        "j1",
        State="Failed",
        **dict.fromkeys(("Message", "Code", "Tag", "QueueId", "QueueType"), NASTY),
        Input={"BucketId": NASTY, "Object": NASTY, "Region": NASTY},
        Operation={"UserData": NASTY, "TemplateId": NASTY},
    )
    said = shell.run(*command)
    assert "j1" in said.stdout
    assert is_harmless(said.stdout)
    assert is_harmless(said.stderr)
    if command[-1] in ("--json", "export"):
        json.loads(said.stdout)
        assert json.dumps(NASTY)[1:-1] in json.dumps(json.loads(said.stdout))


def test_text_of_an_error_of_ci_is_escaped(ci: tuple[Shell, Emulated]) -> None:
    """The message of an error is untrusted text too."""
    shell, emulated = ci
    emulated.fault("error", on="submit", code="AccessDenied", status=403, message=NASTY, times=1)
    said = shell.run(*SUBMIT, code=CI_FAULT)
    assert "AccessDenied" in said.stderr
    assert is_harmless(said.stderr)
