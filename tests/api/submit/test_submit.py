"""POST /v1/jobs and GET /v1/submissions/<id>, with the emulator as CI: what the caller gets, and what CI received."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.store import Store
from harness.emulated import Emulated
from harness.servers import Valkey
from harness.settings import make_settings
from tests.api.submit.conftest import REQUEST


def test_a_job_is_created_and_its_submission_can_be_looked_up(
    post: Any, client: FlaskClient, key: dict[str, str], ci: Emulated
) -> None:
    """201 with the job and its Location; the submission has the caller's labels, which are not sent to CI."""
    answer = post(REQUEST)
    assert answer.status_code == 201, answer.text
    job = answer.get_json()
    assert answer.headers["Location"] == f"/v1/jobs/{job['job_id']}"
    assert client.get(answer.headers["Location"], headers=key).get_json() == job, "not what is stored"
    seen = client.get(f"/v1/submissions/{job['submission']['id']}", headers=key).get_json()
    assert (seen["status"], seen["job_ids"], seen["labels"]) == (
        "submitted",
        [job["job_id"]],
        {"order": "42"},
    )
    assert (seen["callback"], seen["error"], seen["ci_code"]) == ("own", None, None)
    assert "order" not in ci.requests()[0]["full"]["body"]


def test_several_operations_are_answered_as_a_list(
    post: Any, client: FlaskClient, key: dict[str, str], ci: Emulated
) -> None:
    """`{"jobs": […]}`, one for each operation, in their order, each as it is stored."""
    each = {name: value for name, value in REQUEST.items() if name in {"voice_separate", "output"}}
    other = {"tag": "Transcode", "template_id": "t1", "output": {"object": "o.mp4"}}
    answer = post({"input": REQUEST["input"], "operations": [each, other]})
    assert answer.status_code == 201, answer.text
    assert [job["tag"] for job in answer.get_json()["jobs"]] == ["VoiceSeparate", "Transcode"]
    for job in answer.get_json()["jobs"]:
        assert client.get(f"/v1/jobs/{job['job_id']}", headers=key).get_json() == job
    assert ci.statuses() == [200]


def test_every_broken_rule_is_named_at_once(post: Any, ci: Emulated) -> None:
    """422 with the path and the rule of each; nothing is sent to CI."""
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


DOUBTFUL = REQUEST | {"output": {"au_object": "out/a.mp3", "object": "out/b.mp3"}}
"""IsAudio makes no background; this rule is inferred, not documented."""


def test_a_request_that_breaks_an_inferred_rule_is_sent_with_a_warning(
    post: Any, client: FlaskClient, key: dict[str, str], ci: Emulated
) -> None:
    """The response has `warnings` next to the usual job document; `allow` suppresses them."""
    answer = post(DOUBTFUL, Idempotency_Key="doubt")
    assert answer.status_code == 201, answer.text
    job = answer.get_json()
    (doubt,) = job.pop("warnings")
    assert (doubt["field"], doubt["word"]) == ("output.object", "output_unused")
    assert doubt["rule"]
    assert job.keys() == client.get(answer.headers["Location"], headers=key).get_json().keys()
    assert post(DOUBTFUL, Idempotency_Key="doubt").get_json()["warnings"] == [doubt]
    known = post(DOUBTFUL | {"allow": ["output_unused"]})
    assert (known.status_code, "warnings" in known.get_json()) == (201, False)
    assert ci.statuses() == [200, 200]


def test_every_answer_has_the_warnings(post: Any, ci: Emulated) -> None:
    """That for several jobs, an error, and the one after a lost answer of CI."""
    each = {name: DOUBTFUL[name] for name in ("voice_separate", "output")}
    several = post({"input": REQUEST["input"], "operations": [each, REQUEST | {}]})
    assert several.status_code == 422, "an operation has no labels"
    second = {name: REQUEST[name] for name in ("voice_separate", "output")}
    several = post({"input": REQUEST["input"], "operations": [each, second]})
    assert [doubt["field"] for doubt in several.get_json()["warnings"]] == ["operations.0.output.object"]
    wrong = post(DOUBTFUL | {"job_level": 7}).get_json()
    assert [error["word"] for error in wrong["errors"]] == ["job_level"]
    assert [doubt["word"] for doubt in wrong["warnings"]] == ["output_unused"]
    ci.fault("lost_answer", on="submit")
    lost = post(DOUBTFUL)
    assert (lost.status_code, lost.get_json()["warnings"][0]["word"]) == (202, "output_unused")


@pytest.mark.parametrize("part", ["input", "output"])
def test_a_bucket_without_its_appid_is_refused_before_anything_is_sent(
    part: str, post: Any, ci: Emulated
) -> None:
    """422 with the rule; CI hears nothing."""
    answer = post(REQUEST | {part: REQUEST[part] | {"bucket": "noappid"}})
    assert answer.status_code == 422, answer.text
    (error,) = answer.get_json()["errors"]
    assert (error["field"], error["word"]) == (f"{part}.bucket", "bucket_appid")
    assert ci.requests() == []


@pytest.mark.parametrize("tag", ["MediaInfo", "ImageInspect"])
@pytest.mark.parametrize("more", [{}, {"operation": {}}], ids=["absent", "empty"])
def test_a_job_that_needs_no_operation_is_sent_without(
    tag: str, more: dict[str, Any], post: Any, ci: Emulated
) -> None:
    """201, without a warning."""
    answer = post({"tag": tag, "input": {"object": "in/a.mp4"}} | more)
    assert (answer.status_code, answer.get_json()["tag"]) == (201, tag), answer.text
    assert "warnings" not in answer.get_json()
    assert "<Operation" not in ci.requests()[0]["full"]["body"]


def test_no_callback_in_any_case_is_sent_as_ci_takes_it(post: Any, ci: Emulated) -> None:
    """Lower case, whatever the caller wrote."""
    for word in ("NO", "No", "no"):
        assert post(REQUEST | {"callback": word}).status_code == 201
    assert all("<CallBack>no</CallBack>" in one["full"]["body"] for one in ci.requests())
    assert ci.statuses() == [200, 200, 200]


def test_a_documented_rule_can_be_let_through_on_purpose(post: Any, ci: Emulated) -> None:
    """As with `--allow`, by the word in the error; a word that cannot be allowed is an error itself."""
    new = REQUEST | {"voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "opus"}}}
    refused = post(new).get_json()["errors"]
    assert [error["word"] for error in refused] == ["codec"]
    ci.fault("error", on="submit", code="InvalidArgument", status=400)
    assert post(new | {"allow": ["codec"]}).get_json()["reason"] == "ci_refused"
    assert "<Codec>opus</Codec>" in ci.requests()[0]["full"]["body"]
    (error,) = post(REQUEST | {"allow": ["user_data"]}).get_json()["errors"]
    assert error["field"] == "allow.0"


@pytest.mark.parametrize(
    "code", ["MediaBucketUnBinded", "CIRoleNotExist", "SignatureExpired", "QueueSaturated"]
)
def test_cis_refusal_is_reported(
    code: str, post: Any, client: FlaskClient, key: dict[str, str], ci: Emulated
) -> None:
    """502 with CI's code, sentence and request id, and what to do; the same in the failed submission."""
    ci.fault("error", on="submit", code=code, status=403, message="No.")
    answer = post(REQUEST)
    answered = answer.get_json()
    assert (answer.status_code, answered["reason"]) == (502, "ci_refused")
    assert (answered["ci_code"], answered["ci_message"]) == (code, "No.")
    assert answered["ci_request_id"]
    assert answered["ci_advice"]
    kept = client.get(f"/v1/submissions/{answered['submission']}", headers=key).get_json()
    assert kept["status"] == "failed"
    assert {name: kept[name] for name in kept if name.startswith("ci_")} == {
        name: answered[name] for name in answered if name.startswith("ci_")
    }
    assert ci.statuses() == [403], "sent exactly once"


def test_slow_down_that_lasts_is_reported_with_a_time(post: Any, ci: Emulated) -> None:
    """503 with Retry-After of a few seconds; CI has accepted nothing, so the request may be repeated."""
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
    """CI may have the request, so it is sent once, and the answer is neither a success nor a failure."""
    ci.fault(**fault, on="submit")
    answer = post(REQUEST)
    assert answer.status_code == 202, answer.text
    answered = answer.get_json()
    assert answered["status"] == "lost"
    assert answer.headers["Location"] == f"/v1/submissions/{answered['id']}"
    assert client.get(answer.headers["Location"], headers=key).get_json() == answered
    assert len(ci.requests()) == 1


def test_nothing_is_sent_when_nothing_can_be_stored(valkey: Valkey, ci: Emulated, store: Store) -> None:
    """Without Redis the answer is 503 and nothing is sent to CI; an unknown submission is 404."""
    from app import create_app  # noqa: PLC0415

    away = create_app(make_settings("unix:///nowhere", ci_endpoint=ci.url, cos_bucket=ci.bucket))
    answer = away.test_client().post("/v1/jobs", json=REQUEST, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 503
    assert ci.requests() == []
