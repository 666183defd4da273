"""POST /v1/jobs and GET /v1/submissions/<id>, with the emulator as CI: what a caller is told, and what CI received."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.store import Store
from tests.api.submit.conftest import REQUEST
from tests.conftest import make_settings
from tests.emulated import Emulated
from tests.servers import Valkey


def test_a_job_is_created_and_its_submission_can_be_looked_up(
    post: Any, client: FlaskClient, key: dict[str, str], ci: Emulated
) -> None:
    """201, the job, its place; the submission holds the caller's labels, which CI never saw."""
    answer = post(REQUEST)
    assert answer.status_code == 201, answer.text
    job = answer.get_json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['job_id']}"
    seen = client.get(f"/v1/submissions/{job['submission']['id']}", headers=key).get_json()
    assert (seen["status"], seen["job_ids"], seen["labels"]) == (
        "submitted",
        [job["job_id"]],
        {"order": "42"},
    )
    assert (seen["callback"], seen["error"], seen["ci_code"]) == ("own", None, None)
    assert "order" not in ci.requests()[0]["full"]["body"]


def test_several_operations_are_answered_as_a_list(post: Any, ci: Emulated) -> None:
    """`{"jobs": […]}`, one for each operation, in their order."""
    each = {name: value for name, value in REQUEST.items() if name in {"voice_separate", "output"}}
    other = {"tag": "Transcode", "template_id": "t1", "output": {"object": "o.mp4"}}
    answer = post({"input": REQUEST["input"], "operations": [each, other]})
    assert answer.status_code == 201, answer.text
    assert [job["tag"] for job in answer.get_json()["jobs"]] == ["VoiceSeparate", "Transcode"]
    assert ci.statuses() == [200]


def test_every_broken_rule_is_named_at_once(post: Any, ci: Emulated) -> None:
    """422 with the path and the rule of each; CI hears nothing."""
    wrong = {
        "input": {"object": "in/a.mp3"},
        "voice_separate": {
            "audio_mode": "IsAudio",
            "audio_config": {"codec": "amr", "samplerate": 44100, "channels": 2},
        },
        "user_data": "café",
        "job_level": 7,
        "callback_type": "TDMQ",
    }
    answer = post(wrong)
    assert (answer.status_code, answer.get_json()["reason"]) == (422, "invalid_request")
    fields = {error["field"] for error in answer.get_json()["errors"]}
    assert fields >= {
        "output",
        "voice_separate.audio_config.samplerate",
        "voice_separate.audio_config.channels",
        "user_data",
        "job_level",
        "callback_mq_config.mq_region",
        "callback_mq_config.mq_name",
    }
    assert all(error["rule"] for error in answer.get_json()["errors"])
    assert ci.requests() == []


@pytest.mark.parametrize(
    "code", ["MediaBucketUnBinded", "CIRoleNotExist", "SignatureExpired", "QueueSaturated"]
)
def test_cis_refusal_comes_through(
    code: str, post: Any, client: FlaskClient, key: dict[str, str], ci: Emulated
) -> None:
    """502 with CI's code, sentence and request id, and what to do; the same in the failed submission."""
    ci.fault("error", on="submit", code=code, status=403, message="No.")
    answer = post(REQUEST)
    told = answer.get_json()
    assert (answer.status_code, told["reason"]) == (502, "ci_refused")
    assert (told["ci_code"], told["ci_message"]) == (code, "No.")
    assert told["ci_request_id"]
    assert told["ci_advice"]
    kept = client.get(f"/v1/submissions/{told['submission']}", headers=key).get_json()
    assert kept["status"] == "failed"
    assert {name: kept[name] for name in kept if name.startswith("ci_")} == {
        name: told[name] for name in told if name.startswith("ci_")
    }
    assert ci.statuses() == [403], "sent exactly once"


def test_slow_down_that_lasts_is_told_with_a_time(post: Any, ci: Emulated) -> None:
    """503 with Retry-After, in seconds and not in minutes; nothing was taken, so it may be sent again."""
    ci.fault("error", on="submit", code="SlowDown", status=429)
    answer = post(REQUEST)
    assert (answer.status_code, answer.get_json()["reason"]) == (503, "ci_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert set(ci.statuses()) == {429}


@pytest.mark.parametrize(
    "fault", [{"kind": "lost_answer"}, {"kind": "error", "code": "InternalError", "status": 500}]
)
def test_a_lost_answer_is_202_and_the_submission(
    fault: dict[str, Any], post: Any, client: FlaskClient, key: dict[str, str], ci: Emulated
) -> None:
    """CI may have it: it is neither a success nor a failure, and it is sent once."""
    ci.fault(**fault, on="submit")
    answer = post(REQUEST)
    assert answer.status_code == 202, answer.text
    told = answer.get_json()
    assert told["status"] == "lost"
    assert answer.headers["Location"] == f"/v1/submissions/{told['id']}"
    assert client.get(answer.headers["Location"], headers=key).get_json() == told
    assert len(ci.requests()) == 1


def test_nothing_is_sent_when_nothing_can_be_stored(valkey: Valkey, ci: Emulated, store: Store) -> None:
    """An unknown submission is 404; a store that is away is 503, and CI hears nothing."""
    from app import create_app  # noqa: PLC0415

    away = create_app(make_settings("unix:///nowhere", ci_endpoint=ci.url, cos_bucket=ci.bucket))
    answer = away.test_client().post("/v1/jobs", json=REQUEST, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 503
    assert ci.requests() == []
