"""``flask spool``: records set aside are listed and retried, and an empty Redis is accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings
from app.spool import SUFFIX
from app.spool.aside import DAMAGED, RECORDS
from app.spool.files import OwnFile
from app.spool.record import encode_record, with_reason
from tests.cli.shell import NOT_FOUND, REFUSED, Shell
from tests.store.samples import news


@pytest.fixture
def shell(settings: Settings, tmp_path: Path) -> Shell:
    return Shell(settings.model_copy(update={"spool_dir": tmp_path}))


def aside(folder: Path, payload: bytes) -> str:
    file = OwnFile(folder, RECORDS)
    file.write(payload)
    file.close()
    return file.path.name


def test_list_says_why_and_of_which_jobs(shell: Shell, tmp_path: Path) -> None:
    """One line for each record, with control characters escaped; the same as JSON."""
    aside(tmp_path, with_reason(encode_record(news("jodd")), "WRONGTYPE of \x1b[2J\n"))
    aside(tmp_path, b"written by a later version")
    (tmp_path / f"0-1.24{DAMAGED}").write_bytes(b"\1\2\3")
    rows = shell.json("spool", "list")
    assert [(each["job_ids"], each["bytes"] > 0) for each in rows] == [
        ([], True),
        (["jodd"], True),
        ([], True),
    ]
    assert [
        word
        for row, word in zip(rows, ("damaged", "WRONGTYPE", "cannot be read"), strict=True)
        if word in row["reason"]
    ]
    text = shell.run("spool", "list").stdout
    assert len(text.splitlines()) == 3
    assert "\x1b" not in text
    assert "jodd: WRONGTYPE" in text


def test_retry_puts_records_back_into_the_queue(shell: Shell, tmp_path: Path) -> None:
    """One by name, or all that can be retried; an unknown name has its exit code."""
    first, second = aside(tmp_path, encode_record(news("j1"))), aside(tmp_path, encode_record(news("j2")))
    shell.run("spool", "retry", "nothing.aside", code=NOT_FOUND)
    assert "1 files" in shell.run("spool", "retry", first).stdout
    assert [path.name for path in tmp_path.glob(f"*{SUFFIX}")] == [Path(first).with_suffix(SUFFIX).name]
    shell.run("spool", "retry")
    assert not (tmp_path / second).exists()
    services = shell.app.extensions["services"]
    services.drainer.step()
    assert services.store.jobs.get("j1")
    assert services.store.jobs.get("j2")


def test_accept_accepts_an_empty_redis(shell: Shell) -> None:
    """Until then doctor fails, and says what to do."""
    services = shell.app.extensions["services"]
    services.installation.state()
    services.store.db.client.delete(services.store.db.key("installation"))
    said = shell.run("doctor", code=1).stdout
    assert "does not have the id of this installation" in said
    assert "FAIL  Installation" in said
    for todo in ("flask keys create", "REVOKED_TOKENS", "flask jobs import", "flask spool accept"):
        assert todo in said
    shell.run("spool", "accept")
    assert "ok    Installation" in shell.run("doctor", code=1).stdout


def test_doctor_names_the_records_set_aside(shell: Shell, tmp_path: Path) -> None:
    aside(tmp_path, encode_record(news("j1")))
    said = shell.run("doctor", code=1).stdout
    assert "warn  Set aside: 1 records" in said
    assert "flask spool list" in said


def test_without_a_spool_the_commands_are_refused(settings: Settings) -> None:
    for command in ("list", "retry", "accept"):
        assert "SPOOL_DIR" in Shell(settings).run("spool", command, code=REFUSED).stderr
