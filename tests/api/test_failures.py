"""``POST /v1/failures/retry``: the request must select its failures."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.services import Services
from tests.workers.news import a_failure


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"dry_run": True},
        {"all": False},
        {"handler": None},
        {"all": True, "handler": "mine.publish"},
    ],
)
def test_an_empty_filter_retries_nothing(
    client: FlaskClient, key: dict[str, str], services: Services, body: dict[str, Any]
) -> None:
    """A filter that is missing by mistake must not select every failure; ``all`` beside a filter is ambiguous."""
    a_failure(services)
    answer = client.post("/v1/failures/retry", json=body, headers=key)
    problem: Any = answer.json
    assert (answer.status_code, problem["reason"]) == (422, "invalid_request")
    assert "all: true" in problem["detail"] and "handler" in problem["detail"]
    assert problem["errors"][0]["field"] == "all"
    assert services.store.failures.count() == 1


def test_all_are_counted_first_and_then_retried(
    client: FlaskClient, key: dict[str, str], services: Services
) -> None:
    """The same request with and without ``dry_run``."""
    for _ in range(3):
        a_failure(services)
    counted = client.post("/v1/failures/retry", json={"all": True, "dry_run": True}, headers=key).json
    assert counted == {"count": 3}
    assert services.store.failures.count() == 3
    done = client.post("/v1/failures/retry", json={"all": True}, headers=key).json
    assert done == {"matched": 3, "retried": 3, "more": False}
    assert services.store.failures.count() == 0
