"""The emulator checks signatures by itself, from the published description."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from emulator.http.signature import http_string, sign, sign_key

from .running import Account, Emulator, refusal

CI_HOST = "demo-1250000000.ci.ap-chongqing.myqcloud.com"


def authorization(
    method: str,
    path: str,
    params: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    *,
    key: str = "emulator",
    period: str = "",
    changes: dict[str, str] | None = None,
) -> str:
    """An Authorization header; a change replaces a field after signing."""
    now = int(time.time())
    period = period or f"{now - 60};{now + 600}"
    text = http_string(method, path, (params or {}).items(), (headers or {}).items())
    fields = {
        "q-sign-algorithm": "sha1",
        "q-ak": "emulator",
        "q-sign-time": period,
        "q-key-time": period,
        "q-header-list": ";".join(sorted(name.lower() for name in headers or {})),
        "q-url-param-list": ";".join(sorted(name.lower() for name in params or {})),
        "q-signature": sign(sign_key(key, period), period, text),
    }
    return "&".join(
        f"{name}={value}" for name, value in (fields | (changes or {})).items() if value != "(none)"
    )


def call(
    emulator: Emulator, method: str, path: str, sent: dict[str, str], host: str = CI_HOST
) -> requests.Response:
    return requests.request(method, emulator.url + path, headers={"Host": host} | sent, timeout=10)


@pytest.mark.parametrize(
    ("key", "period", "text", "signature"),
    [
        (
            "eb2519b498b02ac213cb1f3d1a3d27a3b3c9bc5f",
            "1557989151;1557996351",
            http_string(
                "PUT",
                "/exampleobject(腾讯云)",
                [],
                {
                    "Date": "Thu, 16 May 2019 06:45:51 GMT",
                    "Host": "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
                    "Content-Type": "text/plain",
                    "Content-Length": "13",
                    "Content-MD5": "mQ/fVh815F3k6TAUm8m0eg==",
                    "x-cos-acl": "private",
                    "x-cos-grant-read": 'uin="100000000011"',
                }.items(),
            ),
            "3b8851a11a569213c17ba8fa7dcf2abec6935172",
        ),
        (
            "937914bf490e9e8c189836aad2052e4feeb35eaf",
            "1557989753;1557996953",
            http_string(
                "GET",
                "/exampleobject(腾讯云)",
                {
                    "response-content-type": "application/octet-stream",
                    "response-cache-control": "max-age=600",
                }.items(),
                {
                    "Date": "Thu, 16 May 2019 06:55:53 GMT",
                    "Host": "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
                }.items(),
            ),
            "01681b8c9d798a678e43b685a9f1bba0f6c0e012",
        ),
        (
            "95d110a8ead64cac52083100db75b7e3f369e72f",
            "1480932292;1481012292",
            http_string(
                "PUT",
                "/testfile2",
                [],
                {
                    "Host": "testbucket-125000000.cos.ap-guangzhou.myqcloud.com",
                    "x-cos-content-sha1": "db8ac1c259eb89d4a131b253bacfca5f319d54f2",
                    "x-cos-stroage-class": "nearline",
                }.items(),
            ),
            "ce4ac0ecbcdb30538b3fee0a97cc6389694ce53a",
        ),
    ],
    ids=["put", "get", "put-with-headers"],
)
def test_the_published_examples_come_out(key: str, period: str, text: str, signature: str) -> None:
    """The numbers that Tencent published for its signature are the ones computed here."""
    assert sign(key, period, text) == signature


def test_parameters_sort_on_their_lower_case_names() -> None:
    """A list request for CI, computed once by hand: names in lower case and sorted so, values encoded."""
    params = {
        "queueId": "p1",
        "tag": "VoiceSeparate",
        "size": "10",
        "startCreationTime": "2022-06-27T00:00:00+0800",
    }
    assert http_string("GET", "/jobs", params.items(), []) == (
        "get\n/jobs\nqueueid=p1&size=10&startcreationtime=2022-06-27T00%3A00%3A00%2B0800&tag=VoiceSeparate\n\n"
    )


def test_any_subset_of_headers_may_be_signed(emulator: Emulator) -> None:
    """Nothing signed but path and method, as in CI's own examples, is as good as host and more."""
    bare = authorization("GET", "/queue")
    hosted = authorization("GET", "/queue", headers={"host": CI_HOST, "x-ci-thing": "a b"})
    assert call(emulator, "GET", "/queue", {"Authorization": bare}).status_code == 200
    assert call(emulator, "GET", "/queue", {"Authorization": hosted, "x-ci-thing": "a b"}).status_code == 200


def test_the_cancel_parameter_may_be_signed_or_not(account: Account) -> None:
    """The Python SDK cancels with an unsigned ?cancel, the Go SDK signs it."""
    account.queue("Paused")
    path = f"/jobs/{account.submit()}"
    host = f"{account.bucket}.ci.ap-chongqing.myqcloud.com"
    signed = authorization("PUT", path, params={"cancel": ""})
    assert call(account.emulator, "PUT", f"{path}?cancel", {"Authorization": signed}, host).status_code == 200


HOSTED = {"Host": CI_HOST}
BAD_HEADERS: dict[str, tuple[str, Callable[[], str]]] = {
    "absent": ("MissingAuthorization", lambda: ""),
    "nonsense": ("InvalidAuthorization", lambda: "nonsense"),
    "without signature": ("InvalidAuthorization", lambda: queue_signature(changes={"q-signature": "(none)"})),
    "md5": ("InvalidAuthorization", lambda: queue_signature(changes={"q-sign-algorithm": "md5"})),
    "unknown id": ("SecretidNotExist", lambda: queue_signature(changes={"q-ak": "unknown"})),
    "wrong key": ("InvalidAuthorization", lambda: queue_signature(key="wrong")),
    "other method": ("InvalidAuthorization", lambda: authorization("PUT", "/queue")),
    "other path": ("InvalidAuthorization", lambda: authorization("GET", "/jobs")),
    "expired": ("SignatureExpired", lambda: queue_signature(period="1500000000;1500003600")),
    "early": ("InvalidAuthorization", lambda: queue_signature(period="4000000000;4000003600")),
    "no times": ("InvalidAuthorization", lambda: queue_signature(period="soon")),
    "other host": ("InvalidAuthorization", lambda: queue_signature(headers={"host": "other"})),
    "header not sent": ("InvalidAuthorization", lambda: queue_signature(changes={"q-header-list": "x-a"})),
    "param not sent": ("InvalidAuthorization", lambda: queue_signature(changes={"q-url-param-list": "a"})),
    "upper case": (
        "InvalidAuthorization",
        lambda: queue_signature(headers=HOSTED, changes={"q-header-list": "Host"}),
    ),
}


def queue_signature(
    headers: dict[str, str] | None = None,
    *,
    key: str = "emulator",
    period: str = "",
    changes: dict[str, str] | None = None,
) -> str:
    return authorization("GET", "/queue", None, headers, key=key, period=period, changes=changes)


@pytest.mark.parametrize("fault", BAD_HEADERS)
def test_a_bad_signature_is_refused_with_cis_word_for_it(emulator: Emulator, fault: str) -> None:
    """401 with one of CI's codes: absent, malformed, expired, of another key or of another request."""
    code, header = BAD_HEADERS[fault]
    answer = call(emulator, "GET", "/queue", {"Authorization": header()})
    assert answer.status_code == 401
    assert f"<Code>{code}</Code>" in answer.text
    assert answer.headers["Server"] == "tencent-ci"
    assert answer.headers["x-ci-request-id"] and answer.headers["x-ci-trace-id"]


def test_a_signed_header_that_changed_on_the_way_is_refused(emulator: Emulator) -> None:
    """What the header list names counts with its value."""
    signed = authorization("GET", "/queue", headers={"x-ci-thing": "mine"})
    answer = call(emulator, "GET", "/queue", {"Authorization": signed, "x-ci-thing": "theirs"})
    assert answer.status_code == 401


def test_cos_has_its_own_words(emulator: Emulator) -> None:
    """Objects are refused with 403 and COS's codes."""
    host = "demo-1250000000.cos.ap-chongqing.myqcloud.com"
    for header, word in [
        ("", "AccessDenied"),
        (authorization("GET", "/a", key="wrong"), "SignatureDoesNotMatch"),
        (authorization("GET", "/a", changes={"q-ak": "unknown"}), "InvalidAccessKeyId"),
        (authorization("GET", "/a", period="1500000000;1500003600"), "Request has expired"),
    ]:
        answer = call(emulator, "GET", "/a", {"Authorization": header}, host)
        assert answer.status_code == 403
        assert word in answer.text
        assert answer.headers["x-cos-request-id"]


def test_a_bucket_of_another_account_is_refused(emulator: Emulator) -> None:
    """Every name works that ends in the account's APPID, no other."""
    status, code, _ = refusal(emulator.client().ci_get_media_queue, Bucket="demo-1250000001")
    assert (status, code) == (403, "AccessDenied")


@pytest.mark.parametrize("edition", ["cos", "media"])
def test_an_error_body_has_cis_nodes(account: Account, edition: str) -> None:
    """Code, Message, RequestId, TraceId; Resource too, but in one of the two published editions."""
    account.emulator.control("PATCH", "settings", {"error_edition": edition})
    answer = call(account.emulator, "GET", "/queue", {})
    nodes = ["<Code>", "<Message>", *(["<Resource>"] if edition == "cos" else []), "<RequestId>", "<TraceId>"]
    places = [answer.text.index(node) for node in nodes]
    assert places == sorted(places)
    assert ("<Resource>" in answer.text) == (edition == "cos")
    assert answer.headers["x-ci-request-id"] in answer.text


def test_a_security_token_is_demanded_when_the_account_has_one(tmp_path: Path) -> None:
    """The SDK sends it as x-ci-security-token to CI, as x-cos-security-token to COS; nothing goes without."""
    token = secrets.token_hex(8)
    emulator = Emulator(tmp_path, "--token", token)
    try:
        bucket = "demo-1250000000"
        right = emulator.client(Token=token)
        assert right.ci_get_media_queue(Bucket=bucket)["QueueList"]
        right.put_object(Bucket=bucket, Body=b"x", Key="k")
        url = right.get_presigned_url(bucket, "k", "GET", Params={"x-cos-security-token": token})
        assert requests.get(url, timeout=10).content == b"x"
        for wrong in (emulator.client(), emulator.client(Token="other")):
            assert refusal(wrong.ci_get_media_queue, Bucket=bucket)[0] == 403
            assert refusal(wrong.get_object, bucket, "k")[0] == 403
    finally:
        emulator.stop()


def test_a_presigned_url_lasts_as_long_as_it_says(account: Account) -> None:
    """A signature in the query string is as good as one in a header, until it expires."""
    account.sdk.put_object(Bucket=account.bucket, Body=b"x", Key="a/k ü.txt")
    good = account.sdk.get_presigned_download_url(account.bucket, "a/k ü.txt")
    old = account.sdk.get_presigned_download_url(account.bucket, "a/k ü.txt", Expired=-1)
    other = good.replace("/a/", "/b/")
    assert requests.get(good, timeout=10).content == b"x"
    assert [requests.get(url, timeout=10).status_code for url in (old, other)] == [403, 403]
