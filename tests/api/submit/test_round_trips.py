"""How many round trips to Redis a submission takes: each costs as much time as all the rules of a request."""

from __future__ import annotations

from typing import Any

import pytest
from redis.connection import AbstractConnection

from harness.emulated import Emulated
from tests.api.submit.conftest import REQUEST

ONE = {name: value for name, value in REQUEST.items() if name != "labels"}
TWO = {
    "input": REQUEST["input"],
    "operations": [
        {name: ONE[name] for name in ("voice_separate", "output")},
        {"tag": "Transcode", "template_id": "t1", "output": {"object": "o.mp4"}},
    ],
}
WRONG = ONE | {"output": {}}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The commands sent to Redis, one entry for each round trip."""
    seen: list[Any] = []
    send = AbstractConnection.send_packed_command

    def noted(self: AbstractConnection, command: Any, check_health: bool = True) -> Any:
        seen.append(command)
        return send(self, command, check_health)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(AbstractConnection, "send_packed_command", noted)
    return seen


@pytest.mark.parametrize(
    ("body", "status", "round_trips"),
    [
        pytest.param(ONE, 201, 4, id="the key, the submission, CI's answer, the audit list"),
        pytest.param(REQUEST, 201, 4, id="labels cost none"),
        pytest.param(TWO, 201, 4, id="nor does a second operation"),
        pytest.param(WRONG, 422, 1, id="a request that breaks a rule costs the key's look-up"),
    ],
)
def test_a_submission_costs_four_round_trips_at_most(
    body: dict[str, Any], status: int, round_trips: int, post: Any, ci: Emulated, sent: list[Any]
) -> None:
    """Once the scripts are loaded and the connections are open."""
    post(body)
    sent.clear()
    assert post(body).status_code == status
    assert len(sent) == round_trips, sent
