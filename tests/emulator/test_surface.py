"""What the emulator does not do it refuses, whatever it is: it never answers 200 to what it did not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from emulator.http import surface
from emulator.http.errors import EmulatorError
from emulator.http.server import create_app
from emulator.settings import parse
from emulator.state import Emulator

from .running import SDK, Account, refusal
from .signed import send

SUB_RESOURCES = (
    *(
        "acl",
        "tagging",
        "uploads",
        "uploadId=1&partNumber=1",
        "restore",
        "versionId=1",
        "versioning",
        "append",
    ),
    *(
        "policy",
        "lifecycle",
        "cors",
        "website",
        "replication",
        "encryption",
        "object-lock",
        "legal-hold",
        "torrent",
    ),
    *(
        "ci-process=snapshot&time=1",
        "ci-process=videoinfo",
        "ci-process=doc-preview",
        "imageMogr2/thumbnail/!50p",
    ),
    *(
        "imageView2/1/w/1",
        "imageInfo",
        "exif",
        "watermark/1",
        "pic-operations={}",
        "callback=x",
        "anything-new",
    ),
)
HEADERS = {
    "x-cos-copy-source": "demo-1250000000.cos.ap-chongqing.myqcloud.com/k",
    "x-cos-acl": "public-read",
    "x-cos-grant-read": 'id="1"',
    "x-cos-tagging": "a=b",
    "x-cos-server-side-encryption": "AES256",
    "x-cos-storage-class": "ARCHIVE",
    "x-cos-forbid-overwrite": "true",
    "x-cos-anything-new": "1",
    "Pic-Operations": '{"is_pic_info":1}',
}
HOSTS = ("127.0.0.1", "{}.cos.ap-chongqing.myqcloud.com", "{}.ci.ap-chongqing.myqcloud.com", "{}.localhost")
CI_PATHS = (
    *("workflow", "workflow/w1", "triggerworkflow", "workflowexecution", "workflowexecution/i1"),
    *(
        "inventorytriggerjob",
        "inventorytriggerjob/b1",
        "asrqueue",
        "picqueue",
        "docqueue",
        "ai_queue",
        "file_queue",
    ),
    *(
        "pic_jobs",
        "pic_jobs/c1",
        "ai_jobs",
        "asr_jobs",
        "doc_jobs",
        "doc_jobs/d1",
        "file_jobs",
        "file_jobs/f1",
    ),
    *(
        "mediabucket",
        "picbucket",
        "docbucket",
        "asrbucket",
        "ai_bucket",
        "file_bucket",
        "cibuckets",
        "mediainfo",
    ),
    *("image/auditing", "video/auditing/av1", "audio/auditing", "text/auditing/st1", "document/auditing"),
    *("webpage/auditing", "live/auditing", "video/cancel_auditing/av1", "virus/detect", "virus/detect/v1"),
    *("snapshot", "playKey", "report/badcase", "posterproduction/template", "asrhotvocabtable", "workflow/"),
)


def keys(account: Account) -> list[str]:
    return [one["Key"] for one in account.sdk.list_objects(account.bucket).get("Contents", [])]


def code(answer: requests.Response) -> tuple[int, str]:
    """Status and code of an error document."""
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


@pytest.mark.parametrize("query", SUB_RESOURCES)
def test_an_unknown_sub_resource_is_not_implemented(account: Account, query: str) -> None:
    """501, for an object and for its bucket, whatever the method; the object is what it was."""
    account.sdk.put_object(Bucket=account.bucket, Key="k", Body=b"old")
    for method in ("PUT", "GET", "DELETE", "POST"):
        for path in ("/k", "/"):
            answer = send(account, method, f"{path}?{query}")
            assert code(answer) == (501, "NotImplemented"), (method, path)
            assert answer.headers["Server"] == "tencent-cos"
        assert send(account, "HEAD", f"/k?{query}", body=b"").status_code == 501
    assert send(account, "GET", "/k", body=b"").content == b"old"
    assert keys(account) == ["k"]


@pytest.mark.parametrize(("name", "value"), HEADERS.items())
def test_a_header_that_asks_for_more_is_not_implemented(account: Account, name: str, value: str) -> None:
    """501 for a copy, an access list, a storage class; nothing is written."""
    assert code(send(account, "PUT", "/k", headers={name: value})) == (501, "NotImplemented")
    assert keys(account) == []


def test_a_header_that_asks_for_nothing_is_taken(account: Account) -> None:
    """What SDKs send by themselves, and the words for what is so anyway."""
    plain = {
        "x-cos-storage-class": "STANDARD",
        "x-cos-acl": "private",
        "x-cos-meta-a": "b",
        "x-cos-sdk-retry": "true",  # Go, Node and Python, when they try again
        "x-cos-sdk-log-debug": "off",  # Java, always
    }
    assert send(account, "PUT", "/k", headers=plain).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH", "OPTIONS"])
def test_a_method_of_buckets_and_objects_that_is_not_here(account: Account, method: str) -> None:
    """501: making a bucket, form uploads, CORS."""
    assert code(send(account, method, "/")) == (501, "NotImplemented")
    if method not in {"PUT", "DELETE"}:
        assert code(send(account, method, "/k")) == (501, "NotImplemented")


SDK_CALLS: dict[str, Callable[[Account], Any]] = {
    "copy": lambda a: a.sdk.copy_object(
        a.bucket, "copy", {"Bucket": a.bucket, "Key": "k", "Region": "ap-chongqing"}
    ),
    "acl": lambda a: a.sdk.put_object_acl(a.bucket, "k", ACL="public-read"),
    "get acl": lambda a: a.sdk.get_object_acl(a.bucket, "k"),
    "tagging": lambda a: a.sdk.put_object_tagging(
        a.bucket, "k", {"TagSet": {"Tag": [{"Key": "a", "Value": "b"}]}}
    ),
    "multipart": lambda a: a.sdk.create_multipart_upload(a.bucket, "big"),
    "delete many": lambda a: a.sdk.delete_objects(a.bucket, {"Object": [{"Key": "k"}]}),
    "append": lambda a: a.sdk.append_object(a.bucket, "k", 0, b"more"),
    "make bucket": lambda a: a.sdk.create_bucket(a.bucket),
    "versions": lambda a: a.sdk.list_objects_versions(a.bucket),
    "snapshot": lambda a: a.sdk.get_snapshot(a.bucket, "k", Time="1"),
    "media info": lambda a: a.sdk.get_media_info(a.bucket, "k"),
    "preview": lambda a: a.sdk.ci_doc_preview_process(a.bucket, "k"),
}
SDK_CI_CALLS: dict[str, Callable[[Account], Any]] = {
    "batch": lambda a: a.sdk.ci_delete_inventory_trigger_jobs(Bucket=a.bucket, JobId="b1"),
    "picture queue": lambda a: a.sdk.ci_update_media_pic_queue(
        Bucket=a.bucket, QueueId="p1", Request={"Name": "q", "State": "Active"}
    ),
    "workflow": lambda a: a.sdk.ci_delete_workflow(Bucket=a.bucket, WorkflowId="w1"),
    "trigger": lambda a: a.sdk.ci_trigger_workflow(Bucket=a.bucket, WorkflowId="w1", Key="k"),
    "review": lambda a: a.sdk.ci_auditing_video_query(Bucket=a.bucket, JobID="av1"),
    "virus": lambda a: a.sdk.ci_auditing_virus_query(Bucket=a.bucket, JobID="v1"),
    "speech": lambda a: a.sdk.ci_get_asr_bucket(BucketName=a.bucket),
    "documents": lambda a: a.sdk.ci_get_doc_queue(Bucket=a.bucket),
}


@pytest.mark.parametrize("call", SDK_CALLS.values(), ids=SDK_CALLS)
def test_the_sdk_gets_an_error_for_what_cos_has_and_the_emulator_has_not(
    account: Account, call: Callable[[Account], Any]
) -> None:
    """As an error that it can read, with the object left alone."""
    account.sdk.put_object(Bucket=account.bucket, Key="k", Body=b"old")
    assert refusal(call, account)[:2] == (501, "NotImplemented")
    assert keys(account) == ["k"]
    assert send(account, "GET", "/k", body=b"").content == b"old"


@pytest.mark.parametrize("call", SDK_CI_CALLS.values(), ids=SDK_CI_CALLS)
def test_the_sdk_gets_an_error_for_what_ci_has_and_the_emulator_has_not(
    account: Account, call: Callable[[Account], Any]
) -> None:
    """Though it sends a COS host name, as it does for a fixed address."""
    assert refusal(call, account)[:2] == (404, "InvalidUrl")
    assert keys(account) == []


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("path", CI_PATHS)
def test_cis_paths_are_never_objects(account: Account, host: str, path: str) -> None:
    """InvalidUrl, CI's own word, whatever the host and the method; no object is made."""
    for method in ("PUT", "GET", "POST", "DELETE"):
        answer = send(account, method, f"/{path}", host)
        assert code(answer) == (404, "InvalidUrl"), method
        assert answer.headers["Server"] == "tencent-ci"
    assert keys(account) == []
    assert send(account, "GET", "/?prefix=" + quote(path), HOSTS[0], b"").text.count("<Key>") == 0


@pytest.mark.parametrize(
    "path", ["/workflow/out.mp3", "/jobs/1/2", "/myworkflow", "/snapshot/a", "/video/a", "/queue\n", "//jobs"]
)
def test_a_path_similar_to_one_of_ci_is_an_object(account: Account, path: str) -> None:
    """A name with a dot or with more below it, a longer one, a folder of that name."""
    assert send(account, "PUT", quote(path)).status_code == 200
    assert send(account, "GET", quote(path), body=b"").content == b"new"
    assert keys(account) == [path[1:]]


def test_a_host_of_cis_without_a_bucket_is_answered_as_ci(account: Account) -> None:
    """The calls about all buckets go there; the emulator has none."""
    answer = send(account, "GET", "/mediabucket", "ci.ap-chongqing.myqcloud.com", b"")
    assert (code(answer), answer.headers["Server"]) == ((400, "InvalidHost"), "tencent-ci")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/jobs/j1?pause"), ("GET", "/jobs?tag=VoiceSeparate&workflowId=w1")]
)
def test_a_parameter_of_cis_that_is_not_here_is_not_implemented(
    account: Account, method: str, path: str
) -> None:
    """An unknown verb is no cancel, and a filter that is not applied would give a wrong list."""
    answer = send(account, method, path, HOSTS[2])
    assert (code(answer), answer.headers["Server"]) == ((501, "NotImplemented"), "tencent-ci")


def test_every_endpoint_names_the_parameters_that_it_reads(tmp_path: Path) -> None:
    """A new one without an entry in the table fails here, not at its first request."""
    app = create_app(Emulator(parse(["--data", str(tmp_path)])))
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {one for one in endpoints if not one.startswith("control.")} == set(surface.QUERY)


@given(st.sampled_from(sorted(surface.QUERY)), st.text(), st.text(min_size=1))
def test_no_other_parameter_passes(endpoint: str, key: str, value: str) -> None:
    """Whatever COS or CI may call it one day."""
    known = key in surface.QUERY[endpoint] or key.startswith(("q-", "x-c"))
    try:
        surface.check_query(endpoint, [(key, value)])
    except EmulatorError as error:
        assert (error.code, error.status) == ("NotImplemented", 501)
        assert not known or key.startswith(("q-", "x-c"))
    else:
        assert known


def test_the_sdk_gets_an_error_for_a_large_upload(account: Account, tmp_path: Path) -> None:
    """More than one part is a multipart upload, which is not here; nothing is left of it."""
    large = tmp_path / "large"
    large.write_bytes(b"x" * (3 * 2**20))
    with pytest.raises(SDK.CosServiceError) as refused:
        account.sdk.upload_file(account.bucket, "large", str(large), PartSize=1)
    assert refused.value.get_status_code() == 501
    assert keys(account) == []
