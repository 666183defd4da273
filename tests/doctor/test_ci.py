"""What doctor finds out about CI: the account, the objects, and the clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
from qcloud_cos import cos_auth

from app.doctor.ci import clock, region
from app.provider import RequestRejected, clock_skew
from app.provider.response import raise_for_status
from app.provider.values import Response
from app.services import Services
from app.settings import Settings
from app.settings.types import KnownBucket
from harness.emulated import Emulated
from tests.cli.submit.conftest import Flask
from tests.doctor.found import findings


@pytest.mark.parametrize(
    "code", ["SecretidNotExist", "SignatureExpired", "MediaBucketUnBinded", "AccessDenied"]
)
def test_an_account_without_rights(code: str, flask: Flask, ci: Emulated) -> None:
    """The finding has CI's error code, its request id and what to do."""
    ci.fault("error", on="queues", code=code, status=403)
    found = findings(flask)["CI"]
    assert found["level"] == "fail"
    assert code in found["said"]
    assert "request id" in found["said"]
    assert found["todo"]


def test_wrong_keys(flask: Flask) -> None:
    """The request is signed with another key, and CI refuses the signature."""
    found = findings(flask, cos_secret_id="unknown")["CI"]
    assert (found["level"], "SecretidNotExist" in found["said"]) == ("fail", True)


def test_a_bucket_of_another_account(flask: Flask) -> None:
    """CI is asked about each of COS_BUCKETS; the finding of the default bucket stays ok."""
    found = findings(flask, cos_buckets=(KnownBucket("theirs-1999999999"),))
    assert found["CI"]["level"] == "ok"
    theirs = found["CI theirs-1999999999"]
    assert (theirs["level"], "AccessDenied" in theirs["said"], bool(theirs["todo"])) == ("fail", True, True)


@pytest.mark.parametrize("status", [404, 301])
def test_a_region_without_that_bucket(status: int, flask: Flask, ci: Emulated) -> None:
    """As COS answers a HEAD of the bucket in another region: without a body, and so without a code."""
    ci.fault("error", on="object_head", code="NoSuchBucket", status=status)
    found = findings(flask)[f"region of {ci.bucket}"]
    assert (found["level"], "COS_REGION" in found["todo"]) == ("fail", True), found


def test_a_region_that_is_not_the_bucket_s(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """COS names the right one in a header; without the right to ask there is no finding."""
    bucket = services.settings.cos_bucket
    monkeypatch.setattr(type(services.provider), "bucket_region", lambda *_: "ap-beijing")
    (found,) = region(services)
    assert (found.level, found.what) == ("fail", f"region of {bucket}")
    assert found.todo == "Set its region to ap-beijing in COS_REGION."
    refused = RequestRejected("AccessDenied", status=403)

    def refuse(*_: object) -> str:
        raise refused

    monkeypatch.setattr(type(services.provider), "bucket_region", refuse)
    assert list(region(services)) == []


def test_the_right_region(flask: Flask, ci: Emulated) -> None:
    assert findings(flask)[f"region of {ci.bucket}"]["level"] == "ok"


def test_results_that_may_not_be_read(flask: Flask, ci: Emulated) -> None:
    """A warning: only presigned links and checks of outputs need it."""
    ci.fault("error", on="object_head", code="AccessDenied", status=403)
    assert findings(flask)["COS"]["level"] == "warn"


def test_a_clock_that_is_wrong(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against CI's own Date header: ahead of it signatures are of the future, behind it they run out early."""
    for seconds, level in ((0, "ok"), (-30, "warn"), (-120, "fail"), (120, "warn")):
        theirs = datetime.now(UTC) + timedelta(seconds=seconds)
        monkeypatch.setattr(type(services.provider), "server_time", lambda *_, theirs=theirs: theirs)
        assert [one.level for one in clock(services)] == [level]


@pytest.mark.parametrize("seconds", [120, -3600])
def test_a_clock_that_is_wrong_is_not_called_a_wrong_key(
    seconds: int, flask: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are signed at another time and CI refuses them: doctor names the clock for CI and COS, not the keys."""
    shifted = SimpleNamespace(time=lambda: time.time() + seconds)
    monkeypatch.setattr(cos_auth, "time", shifted)
    monkeypatch.setattr(clock_skew, "now", lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    found = findings(flask)
    assert found["clock"]["level"] == "fail"
    assert ("ahead" if seconds > 0 else "behind") in found["clock"]["said"]
    for refused in (found["CI"], found["COS"]):
        assert refused["level"] == "ok" or (
            "clock" in refused["todo"] and "COS_SECRET" not in refused["todo"]
        )
    assert seconds < 0 or found["CI"]["level"] == "fail"


@pytest.mark.parametrize(
    ("status", "code", "seconds", "names_clock"),
    [
        (403, "RequestTimeTooSkewed", 3600, True),
        (401, "InvalidAuthorization", 120, True),
        (403, "InvalidAuthorization", 120, True),
        (403, "SignatureExpired", -3600, True),
        (403, "AccessDenied", 120, True),
        (403, "AccessDenied", -120, False),
        (403, "SecretidNotExist", 1, False),
        (404, "NoSuchBucket", 3600, False),
    ],
)
def test_a_refusal_is_read_with_its_date(status: int, code: str, seconds: int, names_clock: bool) -> None:
    """The Date header decides whether the advice is about the clock, or about keys and rights."""
    theirs = format_datetime(datetime.now(UTC) - timedelta(seconds=seconds))
    answer = Response(status, {"Date": theirs}, f"<Error><Code>{code}</Code></Error>".encode())
    with pytest.raises(RequestRejected) as refused:
        raise_for_status(answer, ())
    assert ("clock is" in refused.value.advice) == names_clock


def test_the_clock_is_compared_with_a_real_date_header(settings: Settings) -> None:
    ours = Services.open(settings, timeout=5)
    assert [one.level for one in clock(ours)] == ["ok"]
