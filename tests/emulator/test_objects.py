"""The little of COS: objects, as Tencent's SDK reads and writes them."""

from __future__ import annotations

import hashlib
import io
import wave
from typing import Any

import pytest
import requests

from .running import Account, refusal


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def content(account: Account, key: str, **headers: str) -> bytes:
    found: bytes = account.sdk.get_object(account.bucket, key, **headers)["Body"].get_raw_stream().read()
    return found


@pytest.mark.parametrize(
    "key", ["a.txt", "a/b c/ü+&=?.txt", "a//b", "/a", "jobs/1/out.mp3", "jobs/out.mp3", "a/../b"]
)
def test_an_object_can_be_put_read_and_deleted(account: Account, key: str) -> None:
    """Under any key; jobs/… with more in it is an object, not a job."""
    put = account.sdk.put_object(Bucket=account.bucket, Body=b"hello", Key=key, EnableMD5=True)
    assert put["ETag"] == f'"{md5(b"hello")}"'
    assert put["x-cos-request-id"] and put["Server"] == "tencent-cos"
    assert content(account, key) == b"hello"
    account.sdk.delete_object(account.bucket, key)
    assert not account.sdk.object_exists(account.bucket, key)
    account.sdk.delete_object(account.bucket, key)


def test_head_tells_what_there_is(account: Account) -> None:
    """Length, quoted MD5 as ETag, type, date, the caller's own metadata; no body."""
    account.sdk.put_object(
        Bucket=account.bucket, Body=b"hello", Key="k.mp3", Metadata={"x-cos-meta-who": "me"}
    )
    head = account.sdk.head_object(account.bucket, "k.mp3")
    assert head["Content-Length"] == "5"
    assert head["ETag"] == f'"{md5(b"hello")}"'
    assert head["Content-Type"] == "audio/mpeg"
    assert head["Last-Modified"].endswith("GMT") and head["x-cos-request-id"]
    assert head["x-cos-meta-who"] == "me"


def test_what_is_not_there_is_404(account: Account) -> None:
    """NoSuchKey for reading; the SDK has its own word for a HEAD."""
    assert refusal(account.sdk.get_object, account.bucket, "none")[:2] == (404, "NoSuchKey")
    assert refusal(account.sdk.head_object, account.bucket, "none")[:2] == (404, "NoSuchResource")


def test_a_buckets_objects_are_its_own(account: Account) -> None:
    """The same key in another bucket is another object."""
    account.sdk.put_object(Bucket=account.bucket, Body=b"x", Key="mine")
    assert not account.sdk.object_exists("other-1250000000", "mine")


def test_a_wrong_md5_is_refused(account: Account) -> None:
    """BadDigest."""
    put = account.sdk.put_object
    wrong = "mQ/fVh815F3k6TAUm8m0eg=="
    assert refusal(put, Bucket=account.bucket, Body=b"x", Key="k", ContentMD5=wrong)[:2] == (400, "BadDigest")


@pytest.mark.parametrize(
    ("wanted", "part"),
    [("bytes=0-3", b"0123"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")],
)
def test_a_range_can_be_read(account: Account, wanted: str, part: bytes) -> None:
    """206, with the part asked for."""
    account.sdk.put_object(Bucket=account.bucket, Body=b"0123456789", Key="k")
    assert content(account, "k", Range=wanted) == part
    assert refusal(account.sdk.get_object, account.bucket, "k", Range="bytes=10-")[:2] == (
        416,
        "InvalidRange",
    )


def test_presigned_urls_work_for_reading_and_writing(account: Account) -> None:
    """With the host signed or not; parameters in the signature count."""
    url = account.sdk.get_presigned_url
    put = requests.put(url(account.bucket, "p/k", "PUT"), data=b"body", timeout=10)
    assert put.ok
    # A URL for a fixed address does not say which bucket it means, so this went to the default one.
    for options in ({}, {"SignHost": False}, {"Params": {"response-content-type": "a b/c"}}):
        assert requests.get(url(account.bucket, "p/k", "GET", **options), timeout=10).content == b"body"
    host = f"{account.bucket}.cos.ap-chongqing.myqcloud.com"
    unsigned = url(account.bucket, "p/k", "GET", SignHost=False)
    assert requests.get(unsigned, headers={"Host": host}, timeout=10).status_code == 404


def test_buckets_can_be_looked_at(account: Account) -> None:
    """HEAD of a bucket, and its objects by prefix, page by page."""
    assert account.sdk.head_bucket(account.bucket)["x-cos-bucket-region"] == "ap-chongqing"
    for key in ("a/1", "a/2", "b/1"):
        account.sdk.put_object(Bucket=account.bucket, Body=b"x", Key=key)
    page = account.sdk.list_objects(account.bucket, Prefix="a/", MaxKeys=1)
    assert [one["Key"] for one in page["Contents"]] == ["a/1"]
    page = account.sdk.list_objects(account.bucket, Prefix="a/", Marker=page["NextMarker"])
    assert [one["Key"] for one in page["Contents"]] == ["a/2"]
    assert page["IsTruncated"] == "false"


MODES = {
    "IsAudio": ["voice"],
    "IsBackground": ["back"],
    "AudioAndBackground": ["voice", "back"],
    "MusicMode": ["voice", "back", "bass", "drum"],
}


@pytest.mark.parametrize(("mode", "files"), MODES.items())
def test_a_job_leaves_the_files_of_its_mode(account: Account, mode: str, files: list[str]) -> None:
    """Real bytes under the real keys, with the MD5 that the job tells; nothing else is made."""
    output = account.output(
        Object="o/back.${EXT}",
        AuObject="o/voice.${ext}",
        BassObject="o/bass.${ext}",
        DrumObject="o/drum.${ext}",
    )
    separation = {"AudioMode": mode, "AudioConfig": {"Codec": "MP3"}}
    job_id = account.submit(Operation=account.operation(VoiceSeparate=separation, Output=output))
    result: Any = account.wait(job_id, "Success")["Operation"]["MediaResult"]["OutputFile"]
    md5s = result["Md5Info"] if isinstance(result["Md5Info"], list) else [result["Md5Info"]]
    assert [one["ObjectName"] for one in md5s] == [f"o/{name}.mp3" for name in files]
    for one in md5s:
        body = content(account, one["ObjectName"])
        assert md5(body) == one["Md5"]
        with wave.open(io.BytesIO(body)) as sound:
            assert sound.getnframes() == 2000
    left = {one["Key"] for one in account.sdk.list_objects(account.bucket)["Contents"]}
    assert left == {f"o/{name}.mp3" for name in files}


def test_a_job_without_an_output_of_its_mode_fails(account: Account) -> None:
    """Only a background key, but only the voice is made."""
    separation = {"AudioMode": "IsAudio", "AudioConfig": {"Codec": "mp3"}}
    operation = account.operation(VoiceSeparate=separation, Output=account.output(AuObject=None))
    assert account.wait(account.submit(Operation=operation), "Failed")["Code"] == "InvalidArgument"
