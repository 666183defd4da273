"""The provider's error for each fault, from a real socket; each request is sent once."""

import logging
import ssl
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import requests
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError

from app.provider import (
    AnswerLost,
    NotSent,
    Provider,
    ProviderConfig,
    ProviderError,
    RequestRejected,
    ServerError,
    Throttled,
)
from app.provider.connection_errors import connection_error
from harness.servers import eventually, free_port
from tests.provider.conftest import BUCKET, REGION, Scripted, answer

KEY, TOKEN, SECRET = "sk-0123456789abcdef", "tt-0123456789abcdef", "cb-0123456789abcdef"
CALLBACK = f"https://ci.example.com/callbacks/{SECRET}"
XML = f"<Request><Tag>VoiceSeparate</Tag><CallBack>{CALLBACK}</CallBack></Request>".encode()
OK = "<Response><JobsDetail><JobId>j1</JobId><State>Submitted</State></JobsDetail></Response>"


def provider(url: str, timeout: float = 60.0) -> Provider:
    return Provider(ProviderConfig("id-1", KEY, token=TOKEN, endpoint=url, timeout=timeout))


def submit(url: str, timeout: float = 60.0) -> Any:
    return provider(url, timeout).submit(BUCKET, REGION, XML)


def error(code: str, message: str = "No.") -> str:
    return f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>r-1</RequestId></Error>"


def test_the_bytes_are_sent_as_they_are(scripted: Scripted) -> None:
    """Once, to CI's path and host, signed, with the temporary token under CI's name for it."""
    scripted.answers = [answer(200, OK)]
    assert submit(scripted.url).details[0].report.job_id == "j1"
    (got,) = scripted.received
    head, _, body = got.partition(b"\r\n\r\n")
    assert body == XML
    assert head.startswith(b"POST /jobs HTTP/1.1\r\n")
    lines = head.decode().lower().split("\r\n")
    assert f"host: {BUCKET}.ci.{REGION}.myqcloud.com" in lines
    assert "content-type: application/xml" in lines
    assert f"x-ci-security-token: {TOKEN}" in lines
    assert not [line for line in lines if "x-cos-sdk-retry" in line or "x-cos-security-token" in line]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "SlowDown", Throttled),
        (503, "SlowDown", Throttled),
        (400, "InvalidArgument", RequestRejected),
        (400, "CIRoleNotExist", RequestRejected),
        (401, "SignatureExpired", RequestRejected),
        (401, "SecretidNotExist", RequestRejected),
        (403, "AccessDenied", RequestRejected),
        (403, "QueueSaturated", RequestRejected),
        (403, "QueuePaused", RequestRejected),
        (404, "NoSuchBucket", RequestRejected),
        (451, "UnavailableForLegalReasons", RequestRejected),
        (500, "InternalError", ServerError),
        (501, "NotImplemented", ServerError),
        (503, "ServiceUnavailable", ServerError),
    ],
)
def test_cis_own_code_is_reported(
    scripted: Scripted, status: int, code: str, kind: type[ProviderError]
) -> None:
    """With its message and request id, though Resource is missing; after one request, never a second."""
    scripted.answers = [answer(status, error(code, "Said by CI."))] * 5
    with pytest.raises(kind) as caught:
        submit(scripted.url)
    said = caught.value
    assert type(said) is kind
    assert (said.code, said.message, said.status, said.request_id) == (code, "Said by CI.", status, "r-1")
    assert "r-1" in str(said)
    assert len(scripted.received) == 1


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("MediaBucketUnBinded", "Bind the bucket"),
        ("CIRoleNotExist", "CI_QCSRole"),
        ("SignatureExpired", "clock"),
        ("AccessDenied", "PassRole"),
        ("QueueSaturated", "full"),
        ("QueuePaused", "paused"),
        ("SecretidNotExist", "COS_SECRET_ID"),
        ("1111", "Bind the bucket"),
    ],
)
def test_common_errors_say_what_to_do(scripted: Scripted, code: str, word: str) -> None:
    """Advice of ours beside CI's message; a numeric code is the same error."""
    scripted.answers = [answer(403, error(code))]
    with pytest.raises(RequestRejected) as caught:
        submit(scripted.url)
    assert word in caught.value.advice
    assert word in str(caught.value)


def test_unknown_codes_pass_without_advice(scripted: Scripted) -> None:
    """CI's vocabulary may grow."""
    scripted.answers = [answer(400, error("BrandNew"))]
    with pytest.raises(RequestRejected) as caught:
        submit(scripted.url)
    assert (caught.value.code, caught.value.advice) == ("BrandNew", "")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Retry-After: 7", 7.0),
        ("Retry-After: 999999", 300.0),
        (f"Retry-After: {10**99}", 300.0),
        ("Retry-After: soon", None),
        ("X: y", None),
    ],
)
def test_being_throttled_says_how_long(scripted: Scripted, header: str, seconds: float | None) -> None:
    """If CI names a time, five minutes at most: all questions wait for it. The request may be sent again, since CI has
    not read it."""
    scripted.answers = [answer(429, "", header)]
    with pytest.raises(Throttled) as caught:
        submit(scripted.url)
    assert caught.value.retry_after == seconds
    assert caught.value.code == "SlowDown"


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        (answer(502, "<html><body>Bad gateway</body></html>"), ServerError, "HTTP502"),
        (answer(404, "", "x-ci-request-id: r-2"), RequestRejected, "HTTP404"),
        (answer(301, "", "Location: http://evil.example/"), RequestRejected, "PermanentRedirect"),
        (answer(307, "", "Location: http://evil.example/"), RequestRejected, "TemporaryRedirect"),
        (answer(403, "{not xml"), RequestRejected, "HTTP403"),
    ],
)
def test_answers_that_are_not_cis_are_recognized_by_their_status(
    scripted: Scripted, raw: bytes, kind: type[ProviderError], code: str
) -> None:
    """A proxy in between has its own text; a signed request never follows a redirect."""
    scripted.answers = [raw] * 3
    with pytest.raises(kind) as caught:
        submit(scripted.url)
    assert caught.value.code == code
    assert len(scripted.received) == 1


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (None, "ConnectionBroken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n<Response>", "ConnectionBroken"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<Resp", "ConnectionBroken"),
        (b"nonsense\r\n\r\n", "ConnectionBroken"),
        (answer(200, ""), "AnswerUnreadable"),
        (answer(200, "<html>hello</html>"), "AnswerUnreadable"),
        (answer(200, "<Response></Response>"), "AnswerUnreadable"),
        (answer(200, "{oops"), "AnswerUnreadable"),
    ],
)
def test_an_answer_that_is_lost_may_mean_a_job(scripted: Scripted, raw: bytes | None, code: str) -> None:
    """The request was sent and no readable answer came: it must not be sent again, and it is not."""
    scripted.answers = [raw] * 5
    with pytest.raises(AnswerLost) as caught:
        submit(scripted.url)
    assert caught.value.code == code
    assert len(scripted.received) == 1


def test_a_hung_server_costs_the_timeout_and_no_more(scripted: Scripted) -> None:
    """The SDK alone would try four times."""
    scripted.answers = ["hang"] * 5
    with pytest.raises(AnswerLost) as caught:
        submit(scripted.url, timeout=0.4)
    assert caught.value.code == "AnswerTimeout"
    # The server may read the request only after we have given up.
    eventually(lambda: scripted.received, "the request")
    assert len(scripted.received) == 1


def test_a_refused_connection_was_certainly_not_sent() -> None:
    """So the request may be sent again."""
    with pytest.raises(NotSent) as caught:
        submit(f"http://127.0.0.1:{free_port()}")
    assert caught.value.code == "ConnectionRefused"


def test_an_unknown_host_was_certainly_not_sent() -> None:
    """A name under .invalid is never in DNS."""
    with pytest.raises(NotSent) as caught:
        submit("http://ci.invalid:80")
    assert caught.value.code == "NameNotResolved"


def test_an_untrusted_certificate_was_certainly_not_sent() -> None:
    """The handshake fails before the request; another TLS error may come later, and is not certain."""
    pool = HTTPConnectionPool("127.0.0.1")
    untrusted = MaxRetryError(pool, "/", ssl.SSLCertVerificationError("self-signed"))
    assert isinstance(connection_error(requests.exceptions.SSLError(untrusted)), NotSent)
    cut = MaxRetryError(pool, "/", ssl.SSLError("eof"))
    assert isinstance(connection_error(requests.exceptions.SSLError(cut)), AnswerLost)


@pytest.mark.parametrize(
    ("bucket", "region"),
    [
        (BUCKET, "ap-x.evil.example/"),
        (BUCKET, "evil.example#"),
        (BUCKET, ""),
        ("a.b-1", REGION),
        ("a/b-1", REGION),
        ("", REGION),
        ("user@evil-1", REGION),
        ("demo-1250000000", "0"),
    ],
)
def test_a_name_cannot_lead_a_signed_request_elsewhere(bucket: str, region: str) -> None:
    """Bucket and region come from callbacks too, and become part of a host name."""
    asked = Provider(ProviderConfig("id", "key"))
    for call in (
        lambda: asked.describe(bucket, region, ["j1"]),
        lambda: asked.head_object(bucket, region, "a"),
        lambda: asked.presigned_url(bucket, region, "a", 60),
    ):
        with pytest.raises(RequestRejected) as caught:
            call()
        assert caught.value.code == "InvalidName"


@pytest.mark.parametrize(
    "job_id", ["", "..", ".", "a/b", "a?cancel", "a#b", "a%2f", "a b", "a,b", "a\\b", "x" * 129, "a\n"]
)
def test_an_id_cannot_change_the_path(job_id: str) -> None:
    """Ids come from callbacks too, and become part of a path."""
    asked = Provider(ProviderConfig("id", "key"))
    for call in (
        lambda: asked.describe(BUCKET, REGION, [job_id]),
        lambda: asked.cancel(BUCKET, REGION, job_id),
    ):
        with pytest.raises(RequestRejected):
            call()


ECHO = f"bad CallBack {CALLBACK} or /callbacks/{SECRET} or {SECRET} for {KEY} and {TOKEN}"
LEAKS: list[Callable[[Scripted], None]] = [
    lambda s: s.answers.append(answer(400, error("InvalidArgument", ECHO))),
    lambda s: s.answers.append(answer(400, error(SECRET, ECHO))),
    lambda s: s.answers.append(answer(503, error("InternalError", ECHO))),
    lambda s: s.answers.append(answer(429, error("SlowDown", ECHO))),
    lambda s: s.answers.append(answer(200, f"<Response>{ECHO}</Response>")),
    lambda s: s.answers.append(answer(200, ECHO)),
    lambda s: s.answers.append(answer(301, "", f"Location: {CALLBACK}")),
    lambda s: s.answers.append(None),
    lambda s: s.answers.append("hang"),
    lambda s: s.close(),
]


@pytest.mark.parametrize("fault", LEAKS)
def test_nothing_secret_in_errors_or_logs(
    scripted: Scripted, fault: Callable[[Scripted], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the key, the security token nor the callback URL, in text, repr, traceback or any log at any level."""
    caplog.set_level(logging.DEBUG)
    fault(scripted)
    asked = provider(scripted.url, timeout=0.3)
    with pytest.raises(ProviderError) as caught:
        asked.submit(BUCKET, REGION, XML)
    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
    said += caplog.text + repr(asked.config)
    assert caught.value.__context__ is None
    for secret in (KEY, TOKEN, SECRET, "ci.example.com", "q-signature"):
        assert secret not in said
