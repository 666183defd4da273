"""The commands: values on standard output and nothing else, exit codes that mean something, JSON as the API's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from app.store import Store
from app.store.runs import Start
from app.store.scripts import texts
from app.tokens import fingerprint, read
from tests.api.stored import put
from tests.conftest import make_settings
from tests.emulated import Emulated
from tests.receiver.callbacks import body
from tests.servers import ROOT, Emulator, Valkey, as_environment
from tests.store.said import said, tell
from tests.store.samples import submission

REFUSED, NOT_FOUND, NOT_YET, NO_STORE, CI_FAULT = 2, 3, 4, 5, 6
SUBMIT = (
    "submit", "voice-separate", "--input-object", "in/a.mp3", "--audio-mode", "IsAudio", "--codec", "mp3",
    "--au-object", "out/a.mp3",
)  # fmt: skip


class Shell:
    """One installation, spoken to by commands."""

    def __init__(self, settings: Settings) -> None:
        self.app: Flask = create_app(settings)
        self.store: Store = self.app.extensions["services"].store

    def run(self, *arguments: str, code: int = 0) -> Result:
        """The result of ``flask <arguments>``; it must end with ``code``, and never in a traceback."""
        result = self.app.test_cli_runner().invoke(args=list(arguments), prog_name="flask")
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)


@pytest.fixture
def shell(settings: Settings) -> Shell:
    """Redis is there; CI is away."""
    return Shell(settings)


@pytest.fixture
def ci(valkey: Valkey, emulator: Emulator) -> tuple[Shell, Emulated]:
    """CI is there too."""
    emulated = Emulated(emulator.url)
    return Shell(make_settings(valkey.url, ci_endpoint=emulator.url, cos_bucket=emulated.bucket)), emulated


@pytest.fixture
def api(shell: Shell) -> FlaskClient:
    return shell.app.test_client()


def reader(shell: Shell) -> dict[str, str]:
    return {"Authorization": f"Bearer {shell.store.api_keys.create('reader', frozenset({'read'}))}"}


# ── keys ────────────────────────────────────────────────────────────────────


def test_keys_create_prints_the_key_and_only_that(shell: Shell, api: FlaskClient) -> None:
    """It opens the API with the scopes that were asked for, and can be taken back."""
    key = shell.run("keys", "create", "me", "--scope", "read,submit").stdout.strip()
    assert key.startswith("ck_")
    assert "\n" not in key
    head = {"Authorization": f"Bearer {key}"}
    assert api.get("/v1/jobs", headers=head).status_code == 200
    listed = shell.json("keys", "list")
    assert [(each["name"], each["scopes"]) for each in listed] == [("me", ["read", "submit"])]
    assert key not in shell.run("keys", "list").output
    shell.run("keys", "revoke", "me")
    assert api.get("/v1/jobs", headers=head).status_code == 401
    shell.run("keys", "revoke", "me", code=NOT_FOUND)


@pytest.mark.parametrize("scope", ["", "reed", "read,all", ","])
def test_keys_create_knows_its_scopes(shell: Shell, scope: str) -> None:
    result = shell.run("keys", "create", "me", "--scope", scope, code=REFUSED)
    assert result.stdout == ""
    assert "read, links, submit, admin" in result.stderr


# ── callback-url ────────────────────────────────────────────────────────────


def test_callback_url_prints_a_url_that_works(shell: Shell, api: FlaskClient) -> None:
    """And only that; with the binding that was asked for; until it is revoked, by URL or fingerprint."""
    url = shell.run(
        "callback-url", "--name", "queue", "--tag", "VoiceSeparate", "--bucket", "b-1", "--days", "2"
    ).stdout
    prefix, _, token = url.strip().rpartition("/")
    assert prefix == "https://receiver.example.com/callbacks"
    binding = read(token, shell.app.extensions["services"].settings.callback_keys)
    assert (binding.name, binding.tags, binding.bucket) == ("queue", ("VoiceSeparate",), "b-1")
    assert binding.expires
    for how in (lambda u: u, lambda u: fingerprint(u.rpartition("/")[2])):
        free = shell.run("callback-url").stdout.strip()
        path = "/callbacks/" + free.rpartition("/")[2]
        assert api.post(path, data=body()).status_code == 200
        assert shell.run("callback-url", "--revoke", how(free)).stdout == ""
        assert api.post(path, data=body()).status_code == 403
    assert shell.run("callback-url").stdout != shell.run("callback-url").stdout


def test_callback_url_needs_an_address(valkey: Valkey) -> None:
    shell = Shell(make_settings(valkey.url, public_url=None))
    assert "PUBLIC_URL" in shell.run("callback-url", code=REFUSED).stderr


# ── jobs ────────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize("ago", ["30s", "5m", "36h", "7d", "2w"])
@pytest.mark.parametrize("command", ["list", "export", "replay"])
def test_every_command_takes_the_same_forms_of_time(shell: Shell, command: str, ago: str) -> None:
    """A moment, or how long ago, for either end; `jobs import` has the same (tests of its own)."""
    put(shell.store, "jold", CreationTime="2024-03-05T21:59:58+0800")
    put(shell.store, "jnew", CreationTime=datetime.now(UTC).isoformat())
    more = ("--dry-run", "--yes") if command == "replay" else ()
    since = shell.run("jobs", command, "--after", ago, *more)
    assert "1 jobs match" in since.stderr if more else ("jnew" in since.stdout and "jold" not in since.stdout)
    until = shell.run("jobs", command, "--before", ago, *more)
    assert "1 jobs match" in until.stderr if more else ("jold" in until.stdout and "jnew" not in until.stdout)
    assert "30s, 90m" in shell.run("jobs", command, "--after", "yesterday", code=REFUSED).stderr


def test_jobs_raw_prints_the_newest_callback_and_only_that(shell: Shell) -> None:
    """Or the entry that is named; never what a poll said, unless that is named."""
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


def test_jobs_list_tells_the_overdue_from_the_others(shell: Shell, api: FlaskClient) -> None:
    """As the API does; a job that nobody submitted here is never overdue."""
    late = replace(submission("slate"), deadline="2024-03-05T10:00:00Z")
    shell.store.submissions.create(late)
    tell(shell.store, said("jlate", "Running"), submission=late.id)
    put(shell.store, "j1", State="Running")
    for option, asked in (("--overdue", "true"), ("--not-overdue", "false")):
        answer = api.get("/v1/jobs", query_string={"overdue": asked}, headers=reader(shell))
        assert shell.json("jobs", "list", option) == answer.get_json()
    assert [job["job_id"] for job in shell.json("jobs", "list", "--overdue")["jobs"]] == ["jlate"]
    shell.run("jobs", "list", "--created-after", "yesterday", code=REFUSED)
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
def test_jobs_wait_ends_with_the_job_s_fate(shell: Shell, state: str, code: int) -> None:
    put(shell.store, "j1", State=state, EndTime=None)
    result = shell.run("jobs", "wait", "j1", "--timeout", "0.3", code=code)
    assert state in result.stdout


@pytest.mark.parametrize(
    "job_id", ["--help", "-x", "--json", "'", '"', "{}", "*", "a:b|c", "$(id)", "%s"[1:], "~", "&;"]
)
def test_odd_job_ids_work_in_commands(shell: Shell, job_id: str) -> None:
    """After ``--``, as everywhere."""
    put(shell.store, job_id)
    shown = shell.run("jobs", "show", "--json", "--", job_id)
    assert json.loads(shown.stdout)["job_id"] == job_id
    shell.run("jobs", "wait", "--", job_id)
    assert shell.run("jobs", "replay", "--", job_id).stdout.strip()


def test_a_stranger_s_text_cannot_speak_to_the_terminal(shell: Shell) -> None:
    """Control characters are spelled out: no colours, no cursor, no lines that are none."""
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
    told = shell.json("jobs", "delete", "j2", "--yes")
    assert told == {
        "job_id": "j2", "entries": 3, "payloads": 2, "runs": 3, "failures": 3, "submission": None
    }  # fmt: skip
    assert keys(shell) == before
    assert shell.json("failures", "list")["failures"] == []
    assert [job["job_id"] for job in shell.json("jobs", "list")["jobs"]] == ["j1"]
    shell.run("jobs", "delete", "j2", "--yes", code=NOT_FOUND)


def test_jobs_delete_asks_twice_about_one_that_goes_on(shell: Shell) -> None:
    """CI will tell more of it; and without a terminal the answer is no."""
    put(shell.store, "j1", State="Running")
    asked = shell.run("jobs", "delete", "j1", code=1)
    assert "It has not ended" in asked.stderr
    said = shell.app.test_cli_runner().invoke(args=["jobs", "delete", "j1"], input="y\n")
    assert said.stdout == "j1 deleted: 1 entries, 1 payloads, 0 runs (0 of them failures)\n"


def keys(shell: Shell) -> set[str]:
    """Every key there is, but for the stream of events, which tells of removed jobs until it is trimmed."""
    found = texts(shell.store.db.client.scan_iter(shell.store.db.key("*")))
    return set(found) - {shell.store.db.key("events")}


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
    assert counted == {"matched": 1, "replayed": 0, "dry_run": True}


def test_failures_are_listed_and_unknown_ones_have_their_exit_code(shell: Shell) -> None:
    assert shell.json("failures", "list") == {"failures": [], "next_cursor": None}
    shell.run("failures", "retry", code=REFUSED)
    shell.run("failures", "retry", "none", code=NOT_FOUND)
    shell.run("failures", "dismiss", "none", "--reason", "x", code=NOT_FOUND)
    shell.run("failures", "list", "--cursor", "nonsense", code=REFUSED)


# ── CI ──────────────────────────────────────────────────────────────────────


def test_submit_prints_the_job(ci: tuple[Shell, Emulated]) -> None:
    """As the API would: the job that CI named, bound to its submission."""
    shell, emulated = ci
    job = shell.json(*SUBMIT, "--user-data", "order-42", "--label", "a=b")
    assert job["state"] in {"Submitted", "Running", "Success"}
    assert job["submission"]["callback"] == "own"
    assert emulated.statuses() == [200]
    assert shell.json("jobs", "refresh", job["job_id"])["job_id"] == job["job_id"]


def test_a_dry_run_costs_nothing(ci: tuple[Shell, Emulated]) -> None:
    """The exact XML on standard output; nothing is sent or stored."""
    shell, emulated = ci
    said = shell.run(*SUBMIT, "--dry-run").stdout
    assert said.lstrip().startswith("<")
    assert "<Tag>VoiceSeparate</Tag>" in said
    assert emulated.requests() == []


def test_broken_rules_are_all_named(ci: tuple[Shell, Emulated]) -> None:
    shell, emulated = ci
    result = shell.run(*SUBMIT[:-2], "--samplerate", "1", "--job-level", "9", code=REFUSED)
    assert result.stdout == ""
    assert result.stderr.count("error:") >= 3
    assert emulated.requests() == []


def test_ci_s_refusal_has_its_exit_code(ci: tuple[Shell, Emulated]) -> None:
    shell, emulated = ci
    emulated.fault("error", on="submit", code="AccessDenied", status=403, message="no", times=1)
    result = shell.run(*SUBMIT, code=CI_FAULT)
    assert "AccessDenied" in result.stderr


def test_ci_away_has_its_exit_code(shell: Shell) -> None:
    put(shell.store, "j1")
    for command in ("refresh", "cancel"):
        assert "CI" in shell.run("jobs", command, "j1", code=CI_FAULT).stderr


def test_cancel_asks_ci_what_became_of_it(ci: tuple[Shell, Emulated]) -> None:
    shell, emulated = ci
    emulated.fault("stuck", times=1)
    job = shell.json(*SUBMIT)
    assert shell.json("jobs", "cancel", job["job_id"])["state"] == "Cancel"


# ── all of them ─────────────────────────────────────────────────────────────


def test_redis_away_has_its_exit_code() -> None:
    """One message that names the setting."""
    shell = Shell(make_settings("redis://127.0.0.1:9/0", redis_timeout="0.3"))
    for arguments in (
        ("jobs", "list"), ("jobs", "show", "j1"), ("jobs", "wait", "j1"), ("jobs", "export"), ("jobs", "replay", "j1"),
        ("jobs", "delete", "j1", "--yes"),
        ("failures", "list"), ("failures", "retry", "--all", "--yes"), ("keys", "list"), ("keys", "create", "x"),
        ("callback-url", "--revoke", "x"), SUBMIT,
    ):  # fmt: skip
        result = shell.run(*arguments, code=NO_STORE)
        assert "REDIS_URL" in result.stderr, arguments
    assert shell.run("doctor", code=1).stdout


def test_every_command_explains_itself(shell: Shell) -> None:
    """``--help`` of each names what it does and each of its options."""

    def walk(command: Any, path: tuple[str, ...]) -> None:
        said = shell.run(*path, "--help").stdout
        assert command.help or command.short_help, path
        for each in command.params:
            if each.param_type_name == "option":
                assert each.help, (path, each.name)
        for name, inner in getattr(command, "commands", {}).items():
            assert name in said
            walk(inner, (*path, name))

    ours = {"submit", "jobs", "failures", "queues", "keys", "callback-url", "doctor", "trigger"}
    assert ours <= set(shell.app.cli.commands)
    for name in ours:
        walk(shell.app.cli.commands[name], (name,))


def test_flask_finds_them(shell: Shell, settings: Settings) -> None:
    """As a person types it, in the folder of the checkout, with the settings in the environment."""
    put(shell.store, "j1")
    done = subprocess.run(
        [sys.executable, "-m", "flask", "jobs", "show", "j1", "--json"],
        cwd=ROOT,
        env=os.environ | as_environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["job_id"] == "j1"
