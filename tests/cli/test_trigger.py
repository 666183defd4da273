"""``flask trigger``: one callback as CI would send it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.ci.incoming.payload import parse
from app.cli.output import REFUSED
from harness.servers import Emulator, Valkey
from harness.settings import make_settings
from tests.cli.shell import Shell
from tests.emulator.running import Receiver


@pytest.fixture
def there(valkey: Valkey, emulator: Emulator) -> Shell:
    return Shell(make_settings(valkey.url, ci_endpoint=emulator.url))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_a_callback_has_the_outputs_of_its_tag(there: Shell, receiver: Receiver) -> None:
    """Pictures for Snapshot, with the given user data."""
    said = json.loads(there.run("trigger", "Snapshot", "--user-data", "u 1", "--url", receiver.url).stdout)
    report = parse(receiver.received[0].body).details[0].report
    assert (report.job_id, report.tag, report.user_data) == (said["job_id"], "Snapshot", "u 1")
    assert [each.role for each in report.outputs] == [None, None, None, "sprite"]


@pytest.mark.parametrize("given", [b"<Response>\n <JobsDetail/> </Response>", '{"a": "é"}'.encode()])
def test_a_file_is_sent_as_it_is(there: Shell, receiver: Receiver, tmp_path: Path, given: bytes) -> None:
    """Such as a body that CI sent once."""
    file = tmp_path / "callback"
    file.write_bytes(given)
    there.run("trigger", "Any", "--body", str(file), "--times", "2", "--url", receiver.url)
    assert [each.body for each in receiver.received] == [given, given]


@pytest.mark.parametrize(("given", "why"), [(b"", "is empty"), (b"\xff\xfe", "no text in UTF-8")])
def test_a_file_that_is_no_callback_is_refused(
    there: Shell, receiver: Receiver, tmp_path: Path, given: bytes, why: str
) -> None:
    """With the reason, and nothing is sent."""
    file = tmp_path / "callback"
    file.write_bytes(given)
    assert why in there.run("trigger", "Any", "--body", str(file), "--url", receiver.url, code=REFUSED).stderr
    assert receiver.received == []


def test_a_refusal_by_the_emulator_is_reported(there: Shell) -> None:
    """Its own words."""
    assert "url must be" in there.run("trigger", "Snapshot", "--url", "ftp://x", code=REFUSED).stderr
