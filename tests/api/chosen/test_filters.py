"""Filters of the list of jobs: by labels too, and never one that is not known."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace

from app.store import Store
from tests.api.stored import confirm
from tests.store.said import said, tell
from tests.store.samples import submission

KNOWN = (
    "state",
    "tag",
    "queue_id",
    "bucket",
    "input_object",
    "user_data",
    "overdue",
    "created_after",
    "label.<name>",
)


@pytest.fixture(autouse=True)
def jobs(store: Store) -> None:
    for n, labels in enumerate(({"show": "news"}, {"show": "news", "team": "a"}, {"show": "sport"})):
        store.submissions.create(replace(submission(f"s{n}"), labels=labels))
        tell(store, said(f"j{n}", "Success"), source="submit", submission=f"s{n}")


def test_jobs_are_listed_by_their_labels(client: FlaskClient, key: dict[str, str]) -> None:
    """A job must have every label of the query; other filters may be added; the job shows its labels."""
    for query, ids in (
        ("label.show=news", ["j1", "j0"]),
        ("label.show=news&label.team=a", ["j1"]),
        ("label.show=news&state=Failed", []),
        ("label.show=news&state=Success&tag=VoiceSeparate&limit=1", ["j1"]),
        ("label.nothing=news", []),
    ):
        page = client.get(f"/v1/jobs?{query}", headers=key).get_json()
        assert [job["job_id"] for job in page["jobs"]] == ids, query
    assert client.get("/v1/jobs/j1", headers=key).get_json()["labels"] == {"show": "news", "team": "a"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("stat=Success", "stat"),
        ("labels=show", "labels"),
        ("labels.show=news", "labels.show"),
        ("label=news", "label"),
        ("label.Show=news", "label.Show"),
        ("label.=news", "label."),
        (f"label.{'x' * 33}=news", f"label.{'x' * 33}"),
        ("label.show=news&label.show=sport", "label.show"),
    ],
)
def test_an_unknown_filter_is_refused(
    client: FlaskClient, key: dict[str, str], query: str, field: str
) -> None:
    """A misspelt filter never widens the answer: 422 names it."""
    answer = client.get(f"/v1/jobs?{query}", headers=key)
    problem: Any = answer.get_json()
    assert (answer.status_code, problem["reason"]) == (422, "invalid_request")
    assert [each["field"] for each in problem["errors"]] == [field]


@pytest.mark.parametrize("state", ["success", "SUCCESS", "Bogus", "", "x" * 5000, "\x00", "Success "])
def test_a_state_that_no_job_has_is_refused(client: FlaskClient, key: dict[str, str], state: str) -> None:
    """In the list and in bulk requests; the error names the known states, and the one that was probably meant."""
    query = {"query_string": {"state": state}, "headers": key}
    for answer in (
        client.get("/v1/jobs", **query),
        client.get(
            "/v1/jobs", **query
        ),  # The second time the key is known, and plain reads have their short way.
        client.post("/v1/jobs/replay", json={"state": state, "dry_run": True}, headers=key),
    ):
        (error,) = answer.get_json()["errors"]
        assert (answer.status_code, error["field"]) == (422, "state")
        assert "Cancel, Failed, Pause, Running, Submitted, Success" in error["rule"]
        assert ("Do you mean Success?" in error["rule"]) == (state.lower() == "success")
        assert len(answer.data) < 1000


def test_a_state_that_ci_has_invented_is_known_while_a_job_has_it(
    client: FlaskClient, key: dict[str, str], store: Store
) -> None:
    """CI's words may become more: its own answer may have one that we have never heard of."""
    confirm(store, "jodd", State="Archived", EndTime=None)
    for _ in range(2):
        answer = client.get("/v1/jobs?state=Archived", headers=key)
        assert [job["job_id"] for job in answer.get_json()["jobs"]] == ["jodd"]
    store.retention.drop_job("jodd")
    assert client.get("/v1/jobs?state=Archived", headers=key).status_code == 422


@pytest.mark.parametrize("state", ["Submitted", "Running", "Pause", "Success", "Failed", "Cancel"])
def test_ci_s_own_states_are_known_before_a_job_has_them(
    client: FlaskClient, key: dict[str, str], state: str
) -> None:
    assert client.get(f"/v1/jobs?state={state}", headers=key).status_code == 200


@pytest.mark.parametrize(
    "path", ["/v1/jobs?created_before=", "/v1/jobs?created_after=", "/v1/refusals?after="]
)
@pytest.mark.parametrize("time", ["0.5", "1700000000", "1700000000000", "-5", "20240101", "tomorrow", ""])
def test_an_invalid_time_is_refused(client: FlaskClient, key: dict[str, str], path: str, time: str) -> None:
    """A number is refused: it could be seconds or milliseconds."""
    answer = client.get(path + time, headers=key)
    assert (answer.status_code, answer.get_json()["reason"]) == (422, "invalid_request")
    for right in ("2024-01-01", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00%2B08:00", "2024-01-01T00:00"):
        assert client.get(path + right, headers=key).status_code == 200


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/v1/jobs", KNOWN),
        ("/v1/failures", ("handler", "endpoint", "tag", "job_id")),
        ("/v1/refusals", ("reason", "job_id", "token", "name", "after", "before")),
        ("/v1/events", ("job_id", "tag")),
    ],
)
def test_each_list_names_the_filters_that_it_knows(
    client: FlaskClient, key: dict[str, str], path: str, known: tuple[str, ...]
) -> None:
    answer = client.get(f"{path}?nonsense=1", headers=key)
    assert answer.status_code == 422
    (error,) = answer.get_json()["errors"]
    assert error["field"] == "nonsense"
    assert all(f"{name}" in error["rule"] for name in known)


def test_the_description_has_the_labels(client: FlaskClient) -> None:
    """The document describes them as a parameter whose members begin with ``label.``, as in the query."""
    document = client.get("/openapi.json").get_json()
    found = [each for each in document["paths"]["/v1/jobs"]["get"]["parameters"] if each.get("explode")]
    (labels,) = found
    assert (labels["in"], labels["style"]) == ("query", "form")
    assert list(labels["schema"]["patternProperties"]) == ["^label\\.[a-z0-9_.-]{1,32}$"]
    assert "labels" in document["components"]["schemas"]["Job"]["properties"]
