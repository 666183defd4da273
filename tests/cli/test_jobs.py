"""``flask jobs``: the API's answers as text, as JSON and as exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace

from app.cli.columns import width
from app.redis.scripts import decoded_all
from app.store import Store
from app.store.runs.run import Start
from tests.api.stored import confirm, miss, put
from tests.cli.shell import NOT_FOUND, NOT_YET, REFUSED, Shell, reader
from tests.store.said import said, tell
from tests.store.samples import submission


def test_jobs_show_and_list_say_what_the_api_says(shell: Shell, api: FlaskClient) -> None:
    put(shell.store, "j1")
    put(shell.store, "j2", State="Failed", Tag="Transcode")
    head = reader(shell)
    assert shell.json("jobs", "show", "j1") == api.get("/v1/jobs/j1", headers=head).get_json()
    assert shell.json("jobs", "list") == api.get("/v1/jobs", headers=head).get_json()
    assert shell.json("jobs", "list", "--state", "Failed")["jobs"][0]["job_id"] == "j2"
    assert shell.json("jobs", "list", "--tag", "VoiceSeparate")["jobs"][0]["job_id"] == "j1"
    first = shell.json("jobs", "list", "--limit", "1")
    second = shell.json("jobs", "list", "--limit", "1", "--cursor", first["next_cursor"])
    assert {first["jobs"][0]["job_id"], second["jobs"][0]["job_id"]} == {"j1", "j2"}
    shell.run("jobs", "list", "--cursor", "nonsense", code=REFUSED)
    shown = shell.run("jobs", "show", "j1").stdout
    assert "out/voice.mp3" in shown
    assert "j2" in shell.run("jobs", "list").stdout


def test_contradictions_are_shown_next_to_the_state(shell: Shell) -> None:
    """In a list and of one job: a doubt, outputs that CI has not confirmed, outputs that are not there."""
    put(shell.store, "junconfirmed")
    confirm(shell.store, "jmissing")
    miss(shell.store, "jmissing")
    for state in ("Success", "Failed"):
        tell(shell.store, said("jdoubted", state, "2022-06-27T07:30:00Z"))
    confirm(shell.store, "jplain")
    lines = {line.split()[0]: line for line in shell.run("jobs", "list").stdout.splitlines()}
    words = {"junconfirmed": "not_confirmed", "jmissing": "missing", "jdoubted": "doubt"}
    for job_id, word in words.items():
        assert "Success " in lines[job_id]
        assert word in lines[job_id]
        assert word in shell.run("jobs", "show", job_id).stdout
    assert not any(word in lines["jplain"] for word in words.values())


def test_a_list_has_a_heading_and_fits_eighty_columns(shell: Shell) -> None:
    """One line for each job, whatever its object is called; an id is never cut."""
    put(shell.store, "j" + "0" * 32, Input={"BucketId": "b-1", "Object": "in/" + "文" * 200})
    put(shell.store, "k" * 100)
    heading, *lines = shell.run("jobs", "list").stdout.splitlines()
    assert heading.split()[:3] == ["JOB", "STATE", "CREATED"]
    usual = next(line for line in lines if line.startswith("j"))
    assert width(usual) <= 80
    assert len(lines) == 2
    assert any(line.startswith("k" * 100 + " ") for line in lines)


@pytest.mark.parametrize("what", ["jobs", "failures"])
def test_a_list_of_nothing_says_so(shell: Shell, what: str) -> None:
    ran = shell.run(what, "list")
    assert ran.stdout == ""
    assert f"No {what.removesuffix('s')} matches" in ran.stderr


@pytest.mark.parametrize("ago", ["30s", "36h", "2w", "yesterday", "today", "2025-01-01"])
@pytest.mark.parametrize("command", ["list", "export", "replay", "refresh", "cancel"])
def test_every_command_takes_the_same_forms_of_time(shell: Shell, command: str, ago: str) -> None:
    """A point in time or an age, for either end."""
    put(shell.store, "jold", CreationTime="2024-03-05T21:59:58+0800", State="Running")
    put(shell.store, "jnew", CreationTime=datetime.now(UTC).isoformat(), State="Running")
    more = () if command in {"list", "export"} else ("--dry-run", "--yes")
    since = shell.run("jobs", command, "--after", ago, *more)
    assert (
        "1 job matches" in since.stderr if more else ("jnew" in since.stdout and "jold" not in since.stdout)
    )
    until = shell.run("jobs", command, "--before", ago, *more)
    assert (
        "1 job matches" in until.stderr if more else ("jold" in until.stdout and "jnew" not in until.stdout)
    )
    for wrong in ("someday", "24", "h24", "2024-13-01", ""):
        assert "yesterday, 30s" in shell.run("jobs", command, "--after", wrong, code=REFUSED).stderr


def test_jobs_raw_prints_the_newest_callback_and_only_that(shell: Shell) -> None:
    """Or the named entry; the answer to a poll only if it is named."""
    put(shell.store, "j1", State="Running")
    put(shell.store, "j1")
    tell(shell.store, said("j1", "Failed"), source="poll")
    newest = shell.run("jobs", "raw", "j1").stdout_bytes
    assert newest == shell.store.jobs.raw_bytes("j1", 2)
    assert shell.run("jobs", "raw", "j1", "--entry", "1").stdout_bytes != newest
    assert b"Failed" in shell.run("jobs", "raw", "j1", "--entry", "3").stdout_bytes
    assert "entry 9" in shell.run("jobs", "raw", "j1", "--entry", "9", code=NOT_FOUND).stderr
    tell(shell.store, said("j2", "Success"), source="poll")
    assert shell.run("jobs", "raw", "j2", code=NOT_FOUND).stdout_bytes == b""


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"state": "Failed"}, "j2"), ({"tag": "Transcode"}, "j2"), ({"queue_id": "q-2"}, "j2"),
        ({"bucket": "other-1250000000"}, "j3"), ({"input_object": "in/b c.mp3"}, "j3"),
        ({"user_data": "order 42"}, "j3"), ({"user_data": ""}, ""), ({"state": "Failed", "tag": "none"}, ""),
        ({"created_after": "2024-03-05"}, "j3 j2"),
        ({"created_before": "2024-03-05T10:00:00+08:00"}, "j2 j1"),
        ({"created_after": "2024-03-04", "created_before": "2024-03-06", "limit": "1"}, "j3"),
    ],
    ids=str,
)  # fmt: skip
def test_jobs_list_has_the_filters_of_the_api(
    shell: Shell, api: FlaskClient, wanted: dict[str, str], ids: str
) -> None:
    """Each by its own name, with the same answer; and so has the export."""
    put(shell.store, "j1", CreationTime="2024-03-01T10:00:00+0800")
    put(
        shell.store,
        "j2",
        CreationTime="2024-03-05T10:00:00+0800",
        State="Failed",
        Tag="Transcode",
        QueueId="q-2",
    )
    there = {"BucketId": "other-1250000000", "Object": "in/b c.mp3", "Region": "ap-chongqing"}
    put(
        shell.store,
        "j3",
        CreationTime="2024-03-05T10:00:01+0800",
        Input=there,
        Operation={"UserData": "order 42"},
    )
    asked = [word for name, value in wanted.items() for word in (f"--{name.replace('_', '-')}", value)]
    listed = shell.json("jobs", "list", *asked)
    assert [job["job_id"] for job in listed["jobs"]] == ids.split()
    assert listed == api.get("/v1/jobs", query_string=wanted, headers=reader(shell)).get_json()
    if "limit" not in wanted:
        lines = shell.run("jobs", "export", *asked).stdout.splitlines()
        assert [json.loads(line) for line in lines] == listed["jobs"]


def test_jobs_list_filters_overdue_jobs(shell: Shell, api: FlaskClient) -> None:
    """As the API does; a job that was not submitted here is never overdue."""
    late = replace(submission("slate"), deadline="2024-03-05T10:00:00Z")
    shell.store.submissions.create(late)
    tell(shell.store, said("jlate", "Running"), submission=late.id)
    put(shell.store, "j1", State="Running")
    headers = reader(shell)
    for option, asked in (("--overdue", "true"), ("--not-overdue", "false")):
        answer = api.get("/v1/jobs", query_string={"overdue": asked}, headers=headers)
        assert shell.json("jobs", "list", option) == answer.get_json()
    assert [job["job_id"] for job in shell.json("jobs", "list", "--overdue")["jobs"]] == ["jlate"]
    shell.run("jobs", "list", "--created-after", "someday", code=REFUSED)
    shell.run("jobs", "list", "--limit", "201", code=REFUSED)
    assert len(shell.json("jobs", "list", "--after", "20w")["jobs"]) == 0


def test_an_unknown_job_has_its_exit_code(shell: Shell) -> None:
    for command in ("show", "wait", "refresh", "cancel", "replay", "delete"):
        result = shell.run("jobs", command, "jnone", code=NOT_FOUND)
        assert result.stdout == ""
        assert "jnone" in result.stderr


@pytest.mark.parametrize(
    ("state", "code"), [("Success", 0), ("Failed", 1), ("Cancel", 1), ("Running", NOT_YET)]
)
def test_jobs_wait_exits_with_the_job_s_result(shell: Shell, state: str, code: int) -> None:
    put(shell.store, "j1", State=state, EndTime=None)
    result = shell.run("jobs", "wait", "j1", "--timeout", "0.3", code=code)
    assert state in result.stdout


@pytest.mark.parametrize(
    "job_id", ["--help", "-x", "--json", "'", '"', "{}", "*", "a:b|c", "$(id)", "%s"[1:], "~", "&;"]
)
def test_odd_job_ids_work_in_commands(shell: Shell, job_id: str) -> None:
    """After ``--``, as for any command."""
    put(shell.store, job_id)
    shown = shell.run("jobs", "show", "--json", "--", job_id)
    assert json.loads(shown.stdout)["job_id"] == job_id
    shell.run("jobs", "wait", "--", job_id)
    assert shell.run("jobs", "replay", "--", job_id).stdout.strip()


def test_untrusted_text_cannot_control_the_terminal(shell: Shell) -> None:
    """Control characters are escaped: no colours, no cursor movement, no forged lines."""
    put(
        shell.store,
        "j1",
        State="\x1b[2J\nj2  Success",
        Message="\x9b31m\u202e",
        Tag="\r\x07",
        Input={"BucketId": "b", "Object": "\x1b]0;title\x07"},
    )
    for arguments in (("jobs", "show", "j1"), ("jobs", "list")):
        said = shell.run(*arguments).stdout
        assert not any(letter in said for letter in "\x1b\x9b\x07\r\u202e")
        assert "\nj2" not in said


def test_jobs_export_is_a_line_for_each_job(shell: Shell) -> None:
    for n in range(5):
        put(shell.store, f"j{n}", State="Success" if n % 2 else "Failed")
    lines = shell.run("jobs", "export").stdout.splitlines()
    assert {json.loads(line)["job_id"] for line in lines} == {f"j{n}" for n in range(5)}
    assert len(shell.run("jobs", "export", "--state", "Failed").stdout.splitlines()) == 3
    assert shell.run("jobs", "export", "--json").stdout.splitlines() == lines


def test_jobs_delete_removes_all_of_a_job_and_says_what(shell: Shell) -> None:
    """After asking; the other jobs and their entries stay as they are."""
    put(shell.store, "j1", State="Running")
    before = keys(shell)
    put(shell.store, "j2", State="Running", UserData="only-mine")
    put(shell.store, "j2")
    shell.run("jobs", "replay", "j2")
    plan_failures(shell.store, "j2")
    asked = shell.app.test_cli_runner().invoke(args=["jobs", "delete", "j2"], input="n\n")
    assert (asked.exit_code, "j2: Success. Delete it?" in asked.stderr, asked.stdout) == (1, True, "")
    assert shell.store.jobs.get("j2")
    printed = shell.json("jobs", "delete", "j2", "--yes")
    assert printed == {
        "job_id": "j2", "entries": 3, "payloads": 2, "runs": 3, "failures": 3, "submission": None
    }  # fmt: skip
    assert keys(shell) == before
    assert shell.json("failures", "list")["failures"] == []
    assert [job["job_id"] for job in shell.json("jobs", "list")["jobs"]] == ["j1"]
    shell.run("jobs", "delete", "j2", "--yes", code=NOT_FOUND)


def test_jobs_delete_asks_twice_about_a_job_that_has_not_ended(shell: Shell) -> None:
    """CI will report more about it; without a terminal the answer is no."""
    put(shell.store, "j1", State="Running")
    asked = shell.run("jobs", "delete", "j1", code=1)
    assert "It has not ended" in asked.stderr
    said = shell.app.test_cli_runner().invoke(args=["jobs", "delete", "j1"], input="y\n")
    assert said.stdout == "j1 deleted: 1 entry, 1 payload, 0 runs (0 of them failures)\n"


def keys(shell: Shell) -> set[str]:
    """All keys but the stream of events, which keeps removed jobs until it is trimmed, the totals of handlers, and the
    audit list."""
    found = decoded_all(shell.store.db.client.scan_iter(f"{shell.store.db.prefix}*"))
    kept = ("events",), ("tries",), ("audit", "others")
    return set(found) - {shell.store.db.key(*each) for each in kept}


def plan_failures(store: Store, job_id: str) -> None:
    """A run for each event of the job, all of them out of tries."""
    for posted in store.outbox.after("0", 100):
        if posted.event.job_id == job_id:
            store.runs.plan([(posted.event, [("mine.publish", None)])])
    for run in store.runs.of_job(job_id):
        assert store.runs.start(Start(run.id, 1, 0, "w")) == -1


def test_jobs_replay_makes_an_event(shell: Shell) -> None:
    """One by its id; many only after they were counted."""
    put(shell.store, "j1")
    event_id = shell.run("jobs", "replay", "j1").stdout.strip()
    entries, _ = shell.store.jobs.history("j1")
    assert [entry["kind"] for entry in entries] == ["callback", "replay"]
    assert entries[1]["event_id"] == event_id
    shell.run("jobs", "replay", code=REFUSED)
    assert shell.run("jobs", "replay", "--state", "Success", "--dry-run").stdout == ""
    assert "1 replayed" in shell.run("jobs", "replay", "--state", "Success", "--yes").stdout
    assert shell.json("jobs", "replay", "j1")["replay_of"] == entries[0]["event_id"]
    counted = shell.json("jobs", "replay", "--state", "Success", "--dry-run")
    assert counted == {"count": 1}
    done = shell.json("jobs", "replay", "--state", "Success", "--yes")
    assert done == {"count": 1, "done": 1, "failed": [], "next_cursor": None}


def test_failures_are_listed_and_unknown_ones_have_their_exit_code(shell: Shell) -> None:
    assert shell.json("failures", "list") == {"failures": [], "next_cursor": None}
    shell.run("failures", "retry", code=REFUSED)
    shell.run("failures", "retry", "none", code=NOT_FOUND)
    shell.run("failures", "dismiss", "none", "--reason", "x", code=NOT_FOUND)
    shell.run("failures", "list", "--cursor", "nonsense", code=REFUSED)


def test_an_unknown_state_is_a_usage_error(shell: Shell) -> None:
    """In a list and in bulk commands; the error names the known states."""
    put(shell.store, "j1")
    for words in (("list",), ("export",), ("replay", "--yes")):
        said = shell.run("jobs", *words, "--state", "success", code=REFUSED).stderr
        assert "--state" in said and "Do you mean Success?" in said and "Cancel" in said
    assert shell.json("jobs", "list", "--state", "Success")["jobs"]
    confirm(shell.store, "jodd", State="Archived", EndTime=None)
    assert shell.json("jobs", "list", "--state", "Archived")["jobs"]
