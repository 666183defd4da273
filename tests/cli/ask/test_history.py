"""``flask jobs history``: the reports of a job, and every try with its error."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.cli.columns import folded, width
from app.core.clock import now_ms, rfc3339
from app.store import Store
from app.store.runs.run import End, RunState, Start
from tests.api.stored import put
from tests.cli.shell import NOT_FOUND, Shell

TRACEBACK = (
    "Traceback (most recent call last):\n  File \"/srv/handlers.py\", line 7, in publish\nKeyError: 'x'"
)
LONG = "the shop at https://shop.example.com/hook said " + "no " * 60 + "文" * 60


def ended(store: Store, job_id: str, *tries: tuple[RunState, str | None]) -> None:
    """A run of the job's event, with these tries."""
    (posted,) = (each for each in store.outbox.after("0", 100) if each.event.job_id == job_id)
    store.runs.plan([(posted.event, [("mine.publish", None)])])
    (run,) = store.runs.of_job(job_id)
    for state, error in tries:
        number = store.runs.start(Start(run.id, 30, 9, "w"))
        at = rfc3339(now_ms())
        entry = {"n": number, "started_at": at, "ended_at": at, "ms": 12, "worker": "w", "error": error}
        trouble = {"traceback": TRACEBACK} if error else {}
        store.runs.finish(End(run.id, number, state, entry | trouble, 0))


def test_history_shows_each_try_with_its_error_and_traceback(shell: Shell) -> None:
    """With the settings an operator sees as much as a key with the scope admin."""
    put(shell.store, "j1")
    ended(shell.store, "j1", ("failed", "KeyError: 'x'"))
    lines = [line.strip() for line in shell.run("jobs", "history", "j1").stdout.splitlines()]
    assert "callback  accepted  Success" in lines[0]
    assert "mine.publish  failed  1 try" in lines
    assert any(line.startswith("try 1  ") and line.endswith("12 ms  KeyError: 'x'") for line in lines)
    assert 'File "/srv/handlers.py", line 7, in publish' in lines


def test_history_counts_in_english(shell: Shell) -> None:
    """No `1 tries`, and no `2 try`."""
    put(shell.store, "j1")
    ended(shell.store, "j1", ("waiting", "ValueError"), ("done", None))
    said = shell.run("jobs", "history", "j1").stdout
    assert "mine.publish  done  2 tries" in said
    assert "try 2" in said


def test_history_fits_eighty_columns_and_cuts_nothing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long errors continue on the next line; a Chinese character takes two columns."""
    monkeypatch.setenv("COLUMNS", "80")
    put(shell.store, "j1")
    ended(shell.store, "j1", ("failed", LONG))
    lines = shell.run("jobs", "history", "j1").stdout.splitlines()
    assert max(map(width, lines)) <= 80
    said = "".join(line.strip() for line in lines).replace(" ", "")
    assert LONG.replace(" ", "") in said


def test_history_as_json_is_what_the_api_says_to_an_admin(shell: Shell, api: FlaskClient) -> None:
    put(shell.store, "j1")
    ended(shell.store, "j1", ("failed", "KeyError: 'x'"))
    key = shell.store.api_keys.create("boss", frozenset({"read", "admin"}))
    answer = api.get("/v1/jobs/j1/events", headers={"Authorization": f"Bearer {key}"}).get_json()
    assert shell.json("jobs", "history", "j1") == answer
    assert answer["events"][0]["runs"][0]["tries"][0]["traceback"] == TRACEBACK


def test_history_of_an_unknown_job_exits_3(shell: Shell) -> None:
    assert "No job j9 is known here" in shell.run("jobs", "history", "j9", code=NOT_FOUND).stderr


@pytest.mark.parametrize(
    "text", ["", " ", "a" * 300, "a " * 300, "文" * 300, " " * 300 + "a", "a" * 78 + " b"]
)
@pytest.mark.parametrize("columns", ["1", "20", "80"])
def test_folding_loses_nothing(text: str, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the width."""
    monkeypatch.setenv("COLUMNS", columns)
    lines = list(folded(text, indent=4))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(map(width, lines)) <= max(int(columns), 16)
