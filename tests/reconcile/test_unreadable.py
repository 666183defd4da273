"""An answer of CI that cannot be read affects the job that it is about, and no other."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from app import reconcile
from app.provider import AnswerLost, Provider
from app.services import Services
from tests.reconcile.fake_ci import BAD, FakeCI
from tests.store.said import said, tell
from tests.workers.relay.asking import Relay, job_of

ODD = {
    "no JSON at all": b"{oops",
    "an id that is none": b'{"JobsDetail": [%s, {"JobId": "j 2", "State": "Success"}]}',
    "no id": b'{"JobsDetail": [%s, {"State": "Success"}]}',
    "no object": b'{"JobsDetail": [%s, "Success"]}',
}
REPAIRED = {
    "ESC": b'{"JobsDetail": [%s, {"JobId": "j2", "State": "Failed", "Message": "\x1b"}]}',
    "an escape": b'{"JobsDetail": [%s, {"JobId": "j2", "State": "Failed", "Message": "\\u001b"}]}',
    "no UTF-8": b'{"JobsDetail": [%s, {"JobId": "j2", "State": "Failed", "Message": "\xe9"}]}',
}


@pytest.fixture
def served(ours: Services, fake: FakeCI) -> Services:
    """Three running jobs."""
    for job_id in ("j1", BAD, "j3"):
        tell(ours.store, said(job_id, "Running"), ask_after=60.0)
    return replace(ours, provider=Provider(replace(ours.provider.config, endpoint=fake.url)))


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_the_others_end_and_the_unreadable_job_is_marked(served: Services, fake: FakeCI, odd: bytes) -> None:
    """Its history says so, once; CI is asked again about it."""
    fake.odd = odd
    relay = Relay(served)
    relay.ask()
    assert [job_of(served, job_id).state for job_id in ("j1", "j3")] == ["Success", "Success"]
    assert job_of(served, BAD).state == "Running"
    relay.ask()
    relay.ask()
    entries, _ = served.store.jobs.history(BAD)
    assert [entry["reason"] for entry in entries if entry["kind"] == "refused"] == ["answer_unreadable"]
    assert served.store.due.asked(BAD) >= 3
    for job_id in ("j1", "j3"):
        assert "refused" not in [entry["kind"] for entry in served.store.jobs.history(job_id)[0]]


@pytest.mark.parametrize("odd", REPAIRED.values(), ids=REPAIRED.keys())
def test_a_bad_character_does_not_make_an_answer_unreadable(
    served: Services, fake: FakeCI, odd: bytes
) -> None:
    """It is replaced, and one question ends all three jobs."""
    fake.odd = odd
    Relay(served).ask()
    assert job_of(served, BAD).state == "Failed"
    assert job_of(served, BAD).message == "\ufffd"
    assert [job_of(served, job_id).state for job_id in ("j1", "j3")] == ["Success", "Success"]
    assert len(fake.asked) == 1


def test_the_job_ends_once_its_answer_can_be_read(served: Services, fake: FakeCI) -> None:
    fake.odd = ODD["no id"]
    Relay(served).ask()
    fake.odd = REPAIRED["ESC"]
    Relay(served).ask()
    assert job_of(served, BAD).state == "Failed"


def test_an_operator_who_asks_gets_advice(served: Services, fake: FakeCI) -> None:
    """A question changes nothing and may be repeated."""
    fake.odd = ODD["no JSON at all"]
    with pytest.raises(AnswerLost) as caught:
        reconcile.ask(served, [job_of(served, BAD)])
    assert "ask again" in str(caught.value)
    assert "sent again" not in str(caught.value)
