"""The provider against the emulator, a separate process that checks signatures itself."""

import itertools
import multiprocessing
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import qcloud_cos
import requests

from app.ci.outgoing.request import Defaults, load_request
from app.ci.outgoing.request_xml import render
from app.ci.outgoing.rules.rules import check
from app.provider import AnswerLost, Provider, ProviderConfig, RequestRejected, ServerError, Throttled
from harness.servers import PATIENCE_S, eventually
from tests.provider.conftest import BUCKET, REGION, config, start_emulator

DEFAULTS = Defaults(bucket=BUCKET, region=REGION)


def xml(key: str = "in/a.mp3", **changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "input": {"object": key},
        "voice_separate": {"audio_mode": "IsAudio", "audio_config": {"codec": "mp3"}},
        "output": {"au_object": "out/${jobid}.${ext}"},
        "user_data": "order-1",
    }
    return render(load_request(fields | changes), "no", DEFAULTS)


def submit(provider: Provider, key: str = "in/a.mp3", bucket: str = BUCKET) -> str:
    answer = provider.submit(bucket, REGION, xml(key))
    return answer.details[0].report.job_id


def arm(emulator: str, **fault: Any) -> None:
    requests.post(f"{emulator}/_emulator/faults", json=fault, timeout=60).raise_for_status()


def wait_for(provider: Provider, job_id: str, bucket: str = BUCKET) -> Any:
    def ended() -> Any:
        report = provider.describe(bucket, REGION, [job_id]).details[0].report
        return report if report.terminal else None

    return eventually(ended, "the job to end")


def test_a_job_from_submit_to_success(provider: Provider) -> None:
    """It is submitted and described, and a HEAD finds its output."""
    answer = provider.submit(BUCKET, REGION, xml())
    (detail,) = answer.details
    assert (detail.report.tag, detail.report.user_data) == ("VoiceSeparate", "order-1")
    report = wait_for(provider, detail.report.job_id)
    assert report.state == "Success"
    (output,) = report.outputs
    head = provider.head_object(BUCKET, REGION, output.object)
    assert head is not None and head.size > 0 and head.etag == output.md5


def test_several_operations_give_several_jobs(provider: Provider) -> None:
    """One Detail for each, with its own tag and user data."""
    raw = {"TemplateId": "t1", "Output": {"Region": REGION, "Bucket": BUCKET, "Object": "o.mp4"}}
    operations = [{"Tag": "Transcode", "UserData": "1"} | raw, {"Tag": "Animation", "UserData": "2"} | raw]
    body = render(load_request({"input": {"object": "a.mp4"}, "operations": operations}), "no", DEFAULTS)
    reports = [detail.report for detail in provider.submit(BUCKET, REGION, body).details]
    assert [(r.tag, r.user_data) for r in reports] == [("Transcode", "1"), ("Animation", "2")]


def test_many_jobs_are_described_at_once(provider: Provider) -> None:
    """More ids than one request takes; unknown ids are named."""
    known = [submit(provider) for _ in range(3)]
    unknown = [f"j{n:032x}" for n in range(60)]
    answer = provider.describe(BUCKET, REGION, [*unknown[:30], *known, *known, *unknown[30:]])
    assert {d.report.job_id for d in answer.details} == set(known)
    assert set(answer.non_existing) == set(unknown)


def test_describing_no_ids_makes_no_request() -> None:
    unreachable = Provider(ProviderConfig("id", "key", endpoint="http://127.0.0.1:1"))
    assert unreachable.describe(BUCKET, REGION, []).details == ()


def test_a_list_is_walked_page_by_page(provider: Provider) -> None:
    """Newest first, or oldest first if asked, until there is no next token; every job once."""
    bucket = "paged-1250000000"
    made = [submit(provider, f"in/{n}.mp3", bucket) for n in range(5)]

    def walk(**options: Any) -> list[str]:
        token, found = None, []
        while True:
            page = provider.list_jobs(bucket, REGION, "VoiceSeparate", next_token=token, size=2, **options)
            found += [d.report.job_id for d in page.details]
            token = page.next_token
            if token is None:
                return found

    assert walk() == made[::-1]
    assert walk(oldest_first=True) == made


def test_a_list_can_be_narrowed(provider: Provider) -> None:
    """By input, by state, by time; every parameter is part of the signature."""
    bucket = "narrow-1250000000"
    keys = ["in/a b+c&d=é.mp3", "in/other.mp3"]
    ids = {key: submit(provider, key, bucket) for key in keys}
    for job_id in ids.values():
        wait_for(provider, job_id, bucket)

    def found(**options: Any) -> set[str]:
        page = provider.list_jobs(bucket, REGION, "VoiceSeparate", **options)
        return {d.report.job_id for d in page.details}

    now = datetime.now(UTC)
    assert found(input_object=keys[0]) == {ids[keys[0]]}
    assert found(states=["Success", "Failed"]) == set(ids.values())
    assert found(states=["Running"]) == set()
    assert found(created_after=now - timedelta(minutes=5), created_before=now + timedelta(minutes=5)) == set(
        ids.values()
    )
    assert found(created_before=now - timedelta(minutes=5)) == set()
    with pytest.raises(ValueError, match="offset"):
        found(created_after=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def test_a_job_is_cancelled(provider: Provider, emulator: str) -> None:
    """CI's answer is empty; a later question has the state."""
    arm(emulator, kind="stuck", times=1)

    def cancelled() -> str | None:
        # CI cancels only what has not started, and a busy machine may be too late: then the next one.
        job_id = submit(provider)
        with suppress(RequestRejected):
            provider.cancel(BUCKET, REGION, job_id)
            return job_id
        return None

    job_id = eventually(cancelled, "a job that is cancelled before it starts")
    assert wait_for(provider, job_id).state == "Cancel"
    with pytest.raises(RequestRejected):
        provider.cancel(BUCKET, REGION, "j" + "0" * 32)


def test_queues_are_listed(provider: Provider) -> None:
    """All of them, and by category."""
    queues = provider.queues(BUCKET, REGION)
    assert "queue-speech-1" in {queue.name for queue in queues}
    (speech,) = provider.queues(BUCKET, REGION, category="Speeching")
    assert (speech.state, speech.max_concurrent, speech.notify.state) == ("Active", 10, "Off")
    assert speech.created_at and speech.created_at.endswith("Z")
    assert provider.queues(BUCKET, REGION, state="Paused") == ()


KEYS = ["a.mp3", "in/a b.mp3", "in/数据.mp3", "a+b&c=d%20.mp3", "a./b/c.mp3", "-_.~!*'()"]


def put(emulator: str, key: str, body: bytes) -> None:
    """Store an object with Tencent's own client, which encodes the key."""
    host, _, port = emulator.removeprefix("http://").partition(":")
    sdk: Any = qcloud_cos
    conf = sdk.CosConfig(
        Region=REGION, SecretId="emulator", SecretKey="emulator", Scheme="http", IP=host, Port=int(port)
    )
    sdk.CosS3Client(conf).put_object(Bucket=BUCKET, Body=body, Key=key)


@pytest.mark.parametrize("key", KEYS)
def test_objects_are_found_under_any_name(provider: Provider, emulator: str, key: str) -> None:
    """HEAD and a presigned URL reach the same object."""
    body = key.encode() * 3
    put(emulator, key, body)
    head = provider.head_object(BUCKET, REGION, key)
    assert head is not None and head.size == len(body)
    with urllib.request.urlopen(provider.presigned_url(BUCKET, REGION, key, 60), timeout=60) as got:  # noqa: S310
        assert got.read() == body


def test_an_object_that_is_not_there(provider: Provider) -> None:
    """None, and no error."""
    assert provider.head_object(BUCKET, REGION, "nowhere.mp3") is None


def test_a_presigned_url_expires(provider: Provider, emulator: str) -> None:
    """Past its seconds it is refused, and it is valid for its own object only."""
    put(emulator, "short.mp3", b"x")
    put(emulator, "other.mp3", b"y")
    url = provider.presigned_url(BUCKET, REGION, "short.mp3", 60)
    stale = provider.presigned_url(BUCKET, REGION, "short.mp3", -30)
    for wrong in (stale, url.replace("short", "other"), url.partition("?")[0]):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(wrong, timeout=60)  # noqa: S310
        assert caught.value.code in (401, 403)


def test_a_presigned_url_is_made_without_a_request() -> None:
    """For Tencent's own host, with https, and with the host signed."""
    url = Provider(ProviderConfig("id", "key")).presigned_url(BUCKET, REGION, "out/数 1.mp3", 60)
    assert url.startswith(
        f"https://{BUCKET}.cos.{REGION}.myqcloud.com/out/%E6%95%B0%201.mp3?q-sign-algorithm=sha1&"
    )
    assert "q-header-list=host&" in url
    assert "security-token" not in url


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulator that asks for a security token with every request."""
    data: Path = tmp_path_factory.mktemp("strict")
    yield from start_emulator(data, "--token", "temporary/+token==")


def test_temporary_credentials(strict: str) -> None:
    """The token is sent to CI and COS, and is signed in presigned URLs; without the right one CI refuses."""
    asked = Provider(config(strict, token="temporary/+token=="))
    report = wait_for(asked, submit(asked))
    key = report.outputs[0].object
    assert asked.head_object(BUCKET, REGION, key)
    url = asked.presigned_url(BUCKET, REGION, key, 60)
    assert "q-url-param-list=x-cos-security-token&" in url
    with urllib.request.urlopen(url, timeout=60) as got:  # noqa: S310
        assert got.status == 200
    for token in (None, "another"):
        with pytest.raises(RequestRejected):
            Provider(config(strict, token=token)).describe(BUCKET, REGION, [report.job_id])


@pytest.mark.parametrize(("key_id", "key"), [("emulator", "wrong"), ("unknown", "emulator")])
def test_wrong_credentials_say_what_to_check(emulator: str, key_id: str, key: str) -> None:
    """The error has CI's request id, and the advice names the settings."""
    with pytest.raises(RequestRejected) as caught:
        submit(Provider(ProviderConfig(key_id, key, endpoint=emulator)))
    assert caught.value.request_id
    assert "COS_SECRET" in caught.value.advice


def struck(emulator: str) -> list[int]:
    """The number of requests that each armed fault has affected."""
    faults = requests.get(f"{emulator}/_emulator/faults", timeout=60).json()["faults"]
    return [fault["hits"] for fault in faults]


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "error", "code": "SlowDown"}, Throttled, "SlowDown"),
        ({"kind": "error", "code": "InternalError"}, ServerError, "InternalError"),
        ({"kind": "error", "code": "QueueSaturated"}, RequestRejected, "QueueSaturated"),
        ({"kind": "drop"}, AnswerLost, "ConnectionBroken"),
        ({"kind": "hang", "seconds": 3}, AnswerLost, "AnswerTimeout"),
        ({"kind": "lost_answer"}, AnswerLost, "ConnectionBroken"),
    ],
)
def test_a_submit_is_sent_once_whatever_happens(
    emulator: str, request: pytest.FixtureRequest, fault: dict[str, Any], kind: type[Exception], code: str
) -> None:
    """A second one would be paid for twice."""
    # A slow emulator must not look like one that hangs.
    asked = Provider(config(emulator, timeout=0.5 if fault["kind"] == "hang" else 60))
    arm(emulator, **fault, times=3, on="submit")
    request.addfinalizer(lambda: requests.delete(f"{emulator}/_emulator/faults", timeout=60))
    with pytest.raises(kind) as caught:
        submit(asked)
    assert getattr(caught.value, "code", None) == code
    # We may have given up before the emulator took the request.
    eventually(lambda: struck(emulator)[-1], "the fault to strike")
    assert struck(emulator)[-1] == 1


def test_a_lost_answer_leaves_a_job_to_be_found(provider: Provider, emulator: str) -> None:
    """After `AnswerLost` CI's list has the job."""
    bucket = "lost-1250000000"
    arm(emulator, kind="lost_answer", times=1, on="submit")
    with pytest.raises(AnswerLost):
        submit(provider, "in/lost.mp3", bucket)
    (found,) = provider.list_jobs(bucket, REGION, "VoiceSeparate", input_object="in/lost.mp3").details
    assert found.report.user_data == "order-1"


CODECS = [None, "aac", "flac", "mp3", "amr", "wav", "ogg"]
CONFIGS = [
    *itertools.product(
        ["IsAudio", "MusicMode"], CODECS, [None, 8000, 44100, 96000], [None, 1, 2, 3, 8], [None]
    ),
    *itertools.product(["IsAudio", "Other"], ["mp3"], [None, 22050], [2], [7, 8, 1000, 1001, "x"]),
]


def test_our_rules_and_the_emulators_agree(provider: Provider) -> None:
    """Both were written from the same pages: the emulator accepts exactly the requests without an error here."""

    def taken(body: bytes) -> bool:
        try:
            return bool(provider.submit("rules-1250000000", REGION, body).details)
        except RequestRejected:
            return False

    made = []
    for mode, codec, rate, channels, bitrate in CONFIGS:
        settings = {"codec": codec, "samplerate": rate, "channels": channels, "bitrate": bitrate}
        separate = {"audio_mode": mode, "audio_config": settings}
        made.append(
            load_request(
                {"input": {"object": "a.mp3"}, "voice_separate": separate, "output": {"au_object": "o"}}
            )
        )
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(taken, [render(one, "no", DEFAULTS) for one in made]))
    ours = [not any(b.severity == "error" for b in check(one, DEFAULTS)) for one in made]
    assert [one.voice_separate for one, a, b in zip(made, ours, answers, strict=True) if a != b] == []
    assert 20 < sum(ours) < len(ours) - 20


def test_a_provider_is_shared_by_threads(provider: Provider) -> None:
    """They share a pool of connections, and each gets its own answers."""
    ids = [submit(provider) for _ in range(4)]

    def ask(job_id: str) -> bool:
        return [d.report.job_id for d in provider.describe(BUCKET, REGION, [job_id]).details] == [job_id]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, ids * 10))


def test_a_provider_survives_a_fork(provider: Provider) -> None:
    """A child makes its own connections: parent and child ask at once and get their own answers."""
    mine, its = submit(provider), submit(provider)

    def ask(job_id: str) -> bool:
        return all(
            provider.describe(BUCKET, REGION, [job_id]).details[0].report.job_id == job_id for _ in range(30)
        )

    def child() -> None:
        os._exit(0 if ask(its) else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    assert ask(mine)
    process.join(PATIENCE_S)
    assert process.exitcode == 0
