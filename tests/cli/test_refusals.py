"""``flask refusals``: from a line in the log to the job, without leaving the terminal."""

from __future__ import annotations

import json

from flask.testing import FlaskClient

from app.core.tokens import fingerprint
from tests.cli.shell import NO_STORE, NOT_FOUND, NOT_YET, REFUSED, Shell
from tests.receiver.callbacks import a_token, body

REFUSED_AGAIN = 1
assert REFUSED_AGAIN not in {REFUSED, NOT_FOUND, NOT_YET}


def refuse(shell: Shell, api: FlaskClient, content: bytes, **binding: object) -> str:
    settings = shell.app.extensions["services"].settings
    api.post(f"/callbacks/{a_token(settings, **binding)}", data=content)
    return shell.store.refusals.newest(1)[0].id


def test_the_list_fits_a_terminal(shell: Shell, api: FlaskClient) -> None:
    """A heading and one line each, at most 80 columns, whatever names and ids hold; untrusted text is escaped."""
    refuse(shell, api, b"\x00", name="a" * 60)
    refuse(shell, api, body(JobId="j" * 128), expires=1000, name=None, bucket="b-1")
    refuse(shell, api, b"{}", name="\x1b[2J\nx")
    lines = shell.run("refusals", "list").stdout.splitlines()
    assert lines[0].split()[:2] == ["id", "received"]
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80
    assert "unsupported_media_type" in lines[3] and "…" in lines[3]
    assert "expired_token" in lines[2] and "jjj" in lines[2]
    assert "\x1b" not in "".join(lines)


def test_an_empty_list_says_so(shell: Shell, api: FlaskClient) -> None:
    """On standard error: standard output holds values only."""
    assert "No refusal" in shell.run("refusals", "list").stderr
    assert shell.run("refusals", "list").stdout == ""
    refuse(shell, api, b"{}")
    assert "No refusal" in shell.run("refusals", "list", "--reason", "bad_job_id").stderr
    assert shell.json("refusals", "list", "--before", "1d") == {"refusals": [], "next_cursor": None}


def test_json_is_what_the_api_returns(shell: Shell, api: FlaskClient, key: dict[str, str]) -> None:
    """List and show; with the filters of the API."""
    refused = refuse(shell, api, b'{"a": "\xe2\x9c\x93",}', name="q1")
    assert shell.json("refusals", "list", "--name", "q1") == api.get("/v1/refusals?name=q1", headers=key).json
    assert shell.json("refusals", "show", refused) == api.get(f"/v1/refusals/{refused}", headers=key).json
    page = shell.json("refusals", "list", "--limit", "1")
    assert shell.run("refusals", "list", "--cursor", "x", code=REFUSED)
    assert page["next_cursor"]


def test_a_refusal_is_shown_with_its_body(shell: Shell, api: FlaskClient) -> None:
    """Escaped for a terminal; ``--raw`` prints the exact bytes."""
    content = b'{"a": "\x1b[2J",\r\n"b": }'
    refused = refuse(shell, api, content, name="q1")
    said = shell.run("refusals", "show", refused).stdout
    assert "malformed_json" in said and "q1" in said and '\n"b": }\n' in said and "\\x1b[2J" in said
    assert "\x1b" not in said
    assert shell.run("refusals", "show", refused, "--raw").stdout_bytes == content
    long = refuse(shell, api, b"{" + b" " * 5000)
    assert "--raw" in shell.run("refusals", "show", long).stderr
    assert "RETENTION_REFUSALS" in shell.run("refusals", "show", "none", code=NOT_FOUND).stderr


def test_a_refusal_is_accepted_on_retry(shell: Shell, api: FlaskClient) -> None:
    """Exit code 0 and the outcome; 1 if it is refused again, with the reason."""
    late = refuse(shell, api, body(JobId="j1"), expires=1000)
    assert "taken: j1 accepted" in shell.run("refusals", "retry", late).stdout
    assert "(command)" in shell.store.jobs.history("j1")[0][0]["by"]
    broken = refuse(shell, api, b"{}", expires=1000)
    assert "refused: not_a_callback" in shell.run("refusals", "retry", broken, code=REFUSED_AGAIN).stdout
    (printed,) = shell.json("refusals", "retry", broken, code=REFUSED_AGAIN)
    assert (printed["taken"], printed["reason"]) == (False, "not_a_callback")
    shell.run("refusals", "retry", late, code=NOT_FOUND)
    part = refuse(shell, api, b"<" * 2_000_000)
    assert "body_too_large" in shell.run("refusals", "retry", part, code=REFUSED_AGAIN).stdout


def test_all_that_match_are_retried_oldest_first(shell: Shell, api: FlaskClient) -> None:
    """A filter or --all is required, and the count is shown before any retry."""
    shell.run("refusals", "retry", code=REFUSED)
    for state in ("Submitted", "Running", "Success"):
        refuse(shell, api, body(JobId="j1", State=state, EndTime="-"), expires=1000)
    refuse(shell, api, b"{}")
    asked = shell.app.test_cli_runner().invoke(
        args=["refusals", "retry", "--reason", "expired_token"], input="n\n"
    )
    assert "3 refusals match" in asked.output and shell.store.refusals.open()[0] == 4
    said = shell.run("refusals", "retry", "--reason", "expired_token", "--yes").stdout
    assert [line.rpartition(" ")[2] for line in said.splitlines()] == ["accepted"] * 3
    assert [entry["state"] for entry in shell.store.jobs.history("j1")[0]] == [
        "Submitted",
        "Running",
        "Success",
    ]
    shell.run("refusals", "retry", "--reason", "expired_token", "--yes", code=NOT_FOUND)


def test_a_refusal_is_dismissed(shell: Shell, api: FlaskClient) -> None:
    """For a reason, which stays readable."""
    refused = refuse(shell, api, b"{}")
    shell.run("refusals", "dismiss", refused, code=REFUSED)
    assert "1 dismissed" in shell.run("refusals", "dismiss", refused, "--reason", "a test").stdout
    assert "a test" in shell.run("refusals", "show", refused).stdout
    shell.run("refusals", "dismiss", refused, "--reason", "x", code=NOT_FOUND)
    other = refuse(shell, api, b"{}")
    assert shell.json("refusals", "dismiss", other, "--reason", "x") == {"dismissed": 1}


def test_no_command_shows_a_token(shell: Shell, api: FlaskClient) -> None:
    """Only its fingerprint, which is also a filter."""
    token = a_token(shell.app.extensions["services"].settings)
    api.post(f"/callbacks/{token}", data=b"{}")
    (refused,) = shell.json("refusals", "list", "--token", fingerprint(token))["refusals"]
    for arguments in (("list",), ("show", refused["id"]), ("show", refused["id"], "--json")):
        assert token not in shell.run("refusals", *arguments).output


def test_doctor_names_the_open_refusals(shell: Shell, api: FlaskClient) -> None:
    """Their number, the newest one's reason, and what to do."""

    def said() -> dict[str, str]:
        findings = json.loads(shell.run("doctor", "--json", code=1).stdout)["findings"]
        return next(each for each in findings if each["what"] == "refusals")

    assert said()["level"] == "ok"
    refuse(shell, api, b"{}")
    refuse(shell, api, b"<a")
    found = said()
    assert found["level"] == "warn"
    assert "2 open" in found["said"] and "malformed_xml" in found["said"]
    assert "flask refusals" in found["todo"]


def test_a_retry_that_cannot_be_stored_leaves_the_refusal(shell: Shell, api: FlaskClient) -> None:
    """Exit code 5, and the refusal can still be retried."""
    late = refuse(shell, api, body(JobId="j1"), expires=1000)
    pipe = shell.store.db.client.pipeline()
    for _ in range(shell.app.extensions["services"].settings.outbox_max):
        pipe.xadd(shell.store.db.key("events"), {"x": 1})
    pipe.execute()
    assert late in shell.run("refusals", "retry", late, code=NO_STORE).stderr
    assert shell.store.refusals.newest(1)[0].id == late
