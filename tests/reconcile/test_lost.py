"""If CI's answer to a submission was lost, its job is searched for; the request is never sent twice."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from msgspec.structs import replace

from app.provider import Provider
from app.services import Services
from app.store.members import member_of
from app.store.submissions.submissions import Submission
from harness.servers import Emulator
from tests.reconcile.fake_ci import FakeCI
from tests.store.said import tell
from tests.workers.relay.asking import REQUEST, Relay, asked, end_at_ci, fault, job_of, submit


def _kept(services: Services, submission: str) -> Submission:
    kept = services.store.submissions.get(submission)
    assert kept is not None
    return kept


def _lose_answer(services: Services, ci: Emulator, **changes: Any) -> str:
    fault(ci, "lost_answer", on="submit", times=1)
    submission, job_ids = submit(services, **changes)
    assert job_ids == ()
    assert _kept(services, submission).status == "lost"
    return submission


def _look_only_for(services: Services, relay: Relay, submission: str) -> None:
    lost = services.store.db.key("lost")
    services.store.db.client.delete(lost)
    services.store.db.client.zadd(lost, {submission: 0})
    relay.look_for_lost()


def _jobs_at_ci(services: Services) -> list[str]:
    answer = services.provider.list_jobs("demo-1250000000", "ap-chongqing", "VoiceSeparate")
    return [detail.report.job_id for detail in answer.details]


def test_a_lost_answer_is_found_in_cis_list(ours: Services, ci: Emulator, relay: Relay) -> None:
    """By tag, input, outputs, user data and time; the submission owns the job from then on."""
    submission = _lose_answer(ours, ci)
    relay.look_for_lost()
    kept = _kept(ours, submission)
    assert (kept.status, kept.error) == ("submitted", None)
    (job_id,) = kept.job_ids
    job = job_of(ours, job_id)
    assert job.submission is not None
    assert (job.submission.id, job.source) == (submission, "poll")
    assert asked(ci, "submit") == 1
    end_at_ci(ci, job_id)
    relay.ask()
    assert job_of(ours, job_id).state == "Success"


@pytest.mark.parametrize("user_data", ["-", " ", "   ", "0", " x ", "~!@#$%^&*()<a>&amp;"])
def test_user_data_that_means_nothing_to_ci_does_not_hide_a_job(
    ours: Services, ci: Emulator, relay: Relay, user_data: str
) -> None:
    """CI writes `-` for an empty value: both sides of the comparison are normalized."""
    submission = _lose_answer(ours, ci, user_data=user_data)
    relay.look_for_lost()
    assert _kept(ours, submission).status == "submitted"


@pytest.mark.parametrize(
    "key", ["-", "in/a b+c%20&录音.mp3", "/in/a.mp3", "in/a\nb.mp3", "in/a\rb.mp3", "in/ "]
)
def test_an_odd_input_key_does_not_hide_a_job(ours: Services, ci: Emulator, relay: Relay, key: str) -> None:
    """Any key that the rules accept is found."""
    submission = _lose_answer(ours, ci, input={"object": key})
    relay.look_for_lost()
    assert _kept(ours, submission).status == "submitted"


@pytest.mark.parametrize("key", ["-", "out/a\nb.${ext}", "/out/${jobid}", "out/ä+b %20.${ext}"])
def test_an_odd_output_key_does_not_hide_a_job(ours: Services, ci: Emulator, relay: Relay, key: str) -> None:
    """An output named `-` is read as none on both sides."""
    output = {"object": key, "au_object": "out/${jobid}/vocals.${ext}"}
    submission = _lose_answer(ours, ci, output=output)
    relay.look_for_lost()
    assert _kept(ours, submission).status == "submitted"


@pytest.mark.parametrize("tag", ["MediaInfo", "ImageInspect"])
def test_a_job_without_an_operation_is_found(ours: Services, ci: Emulator, relay: Relay, tag: str) -> None:
    """By tag, input and time, which are all that it has."""
    submission = _lose_answer(ours, ci, tag=tag, voice_separate=None, output=None, user_data=None)
    relay.look_for_lost()
    (job_id,) = _kept(ours, submission).job_ids
    assert job_of(ours, job_id).tag == tag


def test_a_job_that_has_ended_meanwhile_is_found_with_its_end(
    ours: Services, ci: Emulator, relay: Relay
) -> None:
    """Its handlers run, as if the callback had come."""
    submission = _lose_answer(ours, ci)
    end_at_ci(ci, _jobs_at_ci(ours)[0])
    relay.look_for_lost()
    (job_id,) = _kept(ours, submission).job_ids
    assert job_of(ours, job_id).state == "Success"
    assert ours.store.outbox.after("0", 10)[-1].event.runs_handlers


def test_a_job_without_input_is_found(ours: Services, ci: Emulator, relay: Relay) -> None:
    """By its tag, outputs, user data and time; another job of the same minute is not."""
    place = {"Region": "ap-chongqing", "Bucket": "demo-1250000000"}
    raw: dict[str, Any] = {"tag": "Tts", "input": {}, "voice_separate": None, "output": None}
    first = {"TtsConfig": {"Input": "a"}, "Output": place | {"Object": "out/a.mp3"}}
    second = {"TtsConfig": {"Input": "b"}, "Output": place | {"Object": "out/b.mp3"}}
    submit(ours, **raw, operation=second)
    submission = _lose_answer(ours, ci, **raw, operation=first)
    relay.look_for_lost()
    (job_id,) = _kept(ours, submission).job_ids
    job = job_of(ours, job_id)
    assert job.submission is not None
    assert (job.tag, job.input, job.submission.id) == ("Tts", None, submission)


def test_several_operations_are_found_together(ours: Services, ci: Emulator, relay: Relay) -> None:
    """Operations are distinguished by their outputs and user data."""
    operations = [
        {
            "tag": "VoiceSeparate",
            "voice_separate": REQUEST["voice_separate"],
            "output": {"object": f"out/{n}.${{ext}}", "au_object": f"out/${{jobid}}/{n}.${{ext}}"},
            "user_data": f"part {n}",
        }
        for n in range(3)
    ]
    fault(ci, "lost_answer", on="submit", times=1)
    submission, _ = submit(ours, operations=operations, voice_separate=None, output=None, user_data=None)
    relay.look_for_lost()
    ids = _kept(ours, submission).job_ids
    assert [job_of(ours, job_id).user_data for job_id in ids] == ["part 0", "part 1", "part 2"]


@pytest.mark.parametrize(
    "other",
    [
        {"user_data": "order-43"},
        {"input": {"object": "input/other.mp3"}},
        {"output": {"object": "out/other.${ext}", "au_object": "out/${jobid}/vocals.${ext}"}},
        {
            "output": {"object": "out/background.${ext}"},
            "voice_separate": {"audio_mode": "IsBackground", "audio_config": {}},
        },
    ],
    ids=["user data", "input", "output", "fewer outputs"],
)
def test_a_job_that_differs_is_not_bound(
    ours: Services, ci: Emulator, relay: Relay, other: dict[str, Any]
) -> None:
    """In any field that is known."""
    fault(ci, "drop", on="submit", times=1)
    submission, _ = submit(ours)
    _lose_answer(ours, ci, **other)
    _look_only_for(ours, relay, submission)
    assert _kept(ours, submission).status == "lost"


def test_of_two_equal_jobs_none_is_bound(ours: Services, ci: Emulator, relay: Relay) -> None:
    """The same request twice, and both answers lost: the submissions stay lost."""
    first, second = _lose_answer(ours, ci), _lose_answer(ours, ci)
    relay.look_for_lost()
    for submission in (first, second):
        kept = _kept(ours, submission)
        assert (kept.status, kept.job_ids) == ("lost", ())
        assert "may be its own" in (kept.error or "")


def test_a_job_for_one_of_two_operations_may_be_its_own(ours: Services, ci: Emulator, relay: Relay) -> None:
    """The search does not end with "submit it again" while CI has a job that may be paid for already."""
    _lose_answer(ours, ci)
    one = {name: value for name, value in REQUEST.items() if name != "input"} | {"tag": "VoiceSeparate"}
    fault(ci, "drop", on="submit", times=1)
    both = {"operations": [one, one | {"user_data": "order-43"}], "voice_separate": None, "output": None}
    submission, _ = submit(ours, **both, user_data=None)
    _look_only_for(ours, relay, submission)
    kept = _kept(ours, submission)
    assert (kept.status, kept.job_ids) == ("lost", ())
    assert "may be its own" in (kept.error or "")


@pytest.mark.parametrize(
    "listing",
    [
        b'{"JobsDetail": [{"JobId": "j9", "Code": {}}, "Success"]}',
        b'{"JobsDetail": [], "NextToken": "and more"}',
    ],
    ids=["no object", "longer than what is read"],
)
def test_a_list_that_cannot_be_read_whole_may_hold_its_job(
    ours: Services, ci: Emulator, fake: FakeCI, listing: bytes
) -> None:
    """After SEARCH_FOR such a submission fails, and a repeat does not send it to CI again."""
    fault(ci, "drop", on="submit", times=1)
    submission, _ = submit(ours)
    fake.listing = listing
    services = replace(
        ours,
        settings=ours.settings.model_copy(update={"search_for": 0.001}),
        provider=Provider(replace(ours.provider.config, endpoint=fake.url)),
    )
    Relay(services).look_for_lost()
    kept = _kept(ours, submission)
    assert kept.status == "failed"
    assert not kept.came_to_nothing
    assert "Look at CI's list" in (kept.error or "")


def test_a_job_of_another_submission_is_not_bound(ours: Services, ci: Emulator, relay: Relay) -> None:
    """The same request twice, and one answer lost: the other job is the lost one."""
    _, (known,) = submit(ours)
    submission = _lose_answer(ours, ci)
    relay.look_for_lost()
    (found,) = _kept(ours, submission).job_ids
    assert found != known


def test_a_callback_decides_between_two_equal_jobs(ours: Services, ci: Emulator, relay: Relay) -> None:
    """A callback with this submission's token names its job, and CI confirms it."""
    first, second = _lose_answer(ours, ci), _lose_answer(ours, ci)
    mine, other = sorted(_jobs_at_ci(ours))
    end_at_ci(ci, mine)
    (detail,) = ours.provider.describe("demo-1250000000", "ap-chongqing", [mine]).details
    tell(ours.store, detail, submission=first)
    relay.look_for_lost()
    assert _kept(ours, first).job_ids == (mine,)
    relay.look_for_lost()
    assert _kept(ours, second).job_ids == (other,)


def test_a_claim_that_ci_does_not_confirm_binds_nothing(ours: Services, ci: Emulator, relay: Relay) -> None:
    """A token alone does not make a job ours."""
    submission = _lose_answer(ours, ci)
    (real,) = _jobs_at_ci(ours)
    (detail,) = ours.provider.describe("demo-1250000000", "ap-chongqing", [real]).details
    forged = type(detail)(replace(detail.report, job_id="jforged", state="Success"), detail.raw)
    tell(ours.store, forged, submission=submission)
    relay.look_for_lost()
    assert _kept(ours, submission).job_ids == (real,)
    assert job_of(ours, "jforged").submission is None


def test_a_submission_that_never_reached_ci_finally_fails(ours: Services, ci: Emulator) -> None:
    """After SEARCH_FOR, with the reason; it is not sent again."""
    services = Services.open(ours.settings.model_copy(update={"search_for": 0.001}), timeout=5)
    fault(ci, "drop", on="submit", times=1)
    submission, _ = submit(services)
    Relay(services).look_for_lost()
    kept = _kept(services, submission)
    assert kept.status == "failed"
    assert "CI never had such a job" in (kept.error or "")
    assert asked(ci, "submit") == 1
    assert not services.store.submissions.take_unanswered(10, 60)


def test_the_job_of_a_submitter_that_died_is_found(ours: Services, ci: Emulator, relay: Relay) -> None:
    """It stored the submission and sent it, but did not store the answer."""
    submission, (job_id,) = submit(ours)
    redis, key = ours.store.db.client, ours.store.db.key
    redis.hset(key("submission", submission), "status", "sending")
    redis.hdel(key("submission", submission), "job_ids")
    redis.delete(key("job", job_id), key("record", job_id))
    redis.zrem(key("due"), job_id)
    redis.zadd(key("lost"), {submission: 0})
    relay.look_for_lost()
    assert _kept(ours, submission).job_ids == (job_id,)
    assert job_of(ours, job_id).submission is not None


@pytest.mark.parametrize("code", ["SlowDown", "InternalError"])
def test_a_failed_search_is_repeated(ours: Services, ci: Emulator, relay: Relay, code: str) -> None:
    submission = _lose_answer(ours, ci)
    fault(ci, "error", on="list", code=code, times=1)
    relay.look_for_lost()
    assert _kept(ours, submission).status == "lost"
    ours.store.db.client.delete(ours.store.db.key("slow"))
    relay.look_for_lost()
    assert _kept(ours, submission).status == "submitted"


def test_a_lost_record_is_brought_back(ours: Services, ci: Emulator, relay: Relay) -> None:
    """Redis lost a job and kept its submission: the audit finds it, and CI is asked for the rest."""
    submission, (job_id,) = submit(ours)
    end_at_ci(ci, job_id)
    redis = ours.store.db.client
    gone = [key for key in redis.keys(f"{ours.store.db.prefix}*") if job_id.encode() in key]
    redis.delete(*gone)
    for schedule in ("due", "jobs", "touched"):
        redis.zrem(ours.store.db.key(schedule), job_id, member_of(job_id))
    relay.audit()
    job = job_of(ours, job_id)
    assert job.submission is not None
    assert (job.state, job.submission.id) == ("Success", submission)
    assert asked(ci, "describe") == 1
    relay.audit()
    assert asked(ci, "describe") == 1, "nothing left to bring back"


def test_the_audit_walks_over_everything(ours: Services, ci: Emulator, relay: Relay) -> None:
    """Submissions whose jobs are stored cost no question to CI."""
    for _ in range(3):
        submit(ours)
    for _ in range(3):
        relay.audit()
    assert asked(ci, "describe") == 0
    assert requests.get(f"{ci.url}/_emulator/health", timeout=60).ok
