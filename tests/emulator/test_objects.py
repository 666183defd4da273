"""The little of COS: objects, as Tencent's SDK reads and writes them."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
import requests

from emulator.cos.objects import Objects
from emulator.database import Database

from .running import Account, refusal
from .signed import send
from .test_signature import authorization


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


ODD = [
    "/lead.txt",
    "//two",
    "/",
    "a\nb",
    "a\n",
    "\n",
    "a\r\nb",
    "\ta",
    "jobs\n",
    "録音 + %2B.mp3",
    "./a",
    "../a",
    "object",
]


@pytest.mark.parametrize("key", ODD, ids=repr)
def test_a_key_is_taken_as_it_was_sent(account: Account, key: str) -> None:
    """Leading slashes and line ends are part of it; the signature is over the same path, and no other key is read."""
    path = "/" + quote(key)
    account.sdk.put_object(Bucket=account.bucket, Key="other", Body=b"other")
    assert send(account, "PUT", path, body=b"hello").status_code == 200
    assert send(account, "GET", path, body=b"").content == b"hello"
    assert send(account, "HEAD", path, body=b"").headers["Content-Length"] == "5"
    bare = key.lstrip("/\n")
    if bare and bare != key:
        assert send(account, "GET", f"/{bare}", body=b"").status_code == 404
    listed = send(account, "GET", "/?encoding-type=url", body=b"").text
    assert f"<Key>{quote(key)}</Key>" in listed
    assert send(account, "DELETE", path, body=b"").status_code == 204
    assert send(account, "GET", path, body=b"").status_code == 404
    assert content(account, "other") == b"other"


def test_a_signature_for_another_number_of_slashes_is_refused(account: Account) -> None:
    """They are not the same key."""
    signed = {"Host": f"{account.bucket}.cos.ap-chongqing.myqcloud.com"}
    signed["Authorization"] = authorization("GET", "/lead.txt")
    assert send(account, "GET", "//lead.txt", body=b"", headers=signed).status_code == 403


@pytest.mark.parametrize("body", [b"", b"123456789", b"x" * 100_000])
def test_a_checksum_comes_with_every_object(account: Account, body: bytes) -> None:
    """CRC-64/ECMA-182 as decimal, which Tencent's Go SDK compares by default: and of the whole object."""
    put = account.sdk.put_object(Bucket=account.bucket, Body=body, Key="k")
    head = account.sdk.head_object(account.bucket, "k")
    got = account.sdk.get_object(account.bucket, "k")
    checksums = {answer["x-cos-hash-crc64ecma"] for answer in (put, head, got)}
    assert checksums == {str(crc64(body))}
    if body:
        part = account.sdk.get_object(account.bucket, "k", Range="bytes=0-3")
        assert part["x-cos-hash-crc64ecma"] == str(crc64(body))


def crc64(body: bytes) -> int:
    """The published definition, bit by bit: reflected, all ones before and after."""
    value = 2**64 - 1
    for byte in body:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0xC96C5795D7870F42 if value & 1 else 0)
    return value ^ (2**64 - 1)


def test_an_answer_without_a_body_has_no_type(account: Account) -> None:
    """Neither PUT, DELETE, nor HEAD of a bucket is text/html."""
    put = account.sdk.put_object(Bucket=account.bucket, Body=b"x", Key="k")
    answers = [put, account.sdk.head_bucket(account.bucket), account.sdk.delete_object(account.bucket, "k")]
    assert [answer.get("Content-Type") for answer in answers] == [None, None, None]


def test_a_reader_can_ask_for_other_headers(account: Account) -> None:
    """`response-…` in the query, as presigned URLs for downloads have it."""
    account.sdk.put_object(Bucket=account.bucket, Body=b"x", Key="k.mp3")
    asked = {"ResponseContentType": "a/b", "ResponseContentDisposition": 'attachment; filename="x"'}
    got = account.sdk.get_object(account.bucket, "k.mp3", **asked)
    assert (got["Content-Type"], got["Content-Disposition"]) == ("a/b", 'attachment; filename="x"')
    query = "response-expires=" + quote("a\r\nSet-Cookie: b")
    assert send(account, "GET", f"/k.mp3?{query}", body=b"").status_code == 400


def test_a_condition_is_kept(account: Account) -> None:
    """304 for what the reader has, 412 for what he does not mean."""
    account.sdk.put_object(Bucket=account.bucket, Body=b"x", Key="k")
    etag, past, later = f'"{md5(b"x")}"', "Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    expected = {
        ("If-None-Match", etag): 304,
        ("If-None-Match", '"other"'): 200,
        ("If-Modified-Since", later): 304,
        ("If-Modified-Since", past): 200,
        ("If-Match", etag): 200,
        ("If-Match", '"other"'): 412,
        ("If-Unmodified-Since", later): 200,
        ("If-Unmodified-Since", past): 412,
    }
    found = {(n, v): send(account, "GET", "/k", body=b"", headers={n: v}).status_code for n, v in expected}
    assert found == expected


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


def test_a_missing_object_is_404(account: Account) -> None:
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


def test_a_list_says_what_an_object_is(account: Account) -> None:
    """Key, quoted MD5, size, time, owner, class."""
    account.sdk.put_object(Bucket=account.bucket, Key="a b", Body=b"hello")
    (one,) = account.sdk.list_objects(account.bucket)["Contents"]
    assert one["Key"] == "a b" and one["ETag"] == f'"{md5(b"hello")}"'
    assert (one["Size"], one["StorageClass"]) == ("5", "STANDARD")
    assert datetime.strptime(one["LastModified"], "%Y-%m-%dT%H:%M:%S.000Z")  # noqa: DTZ007


def test_keys_are_listed_encoded_when_asked(account: Account) -> None:
    """`encoding-type=url`: keys that XML cannot hold, or that a client would decode, come back as they are."""
    odd = ["%41", "a b+c", "a\x01b", "a&<b>", "録音/ü"]
    for key in odd:
        send(account, "PUT", "/" + quote(key))
    found: list[str] = []
    marker = ""
    while True:
        page = account.sdk.list_objects(account.bucket, EncodingType="url", Marker=marker, MaxKeys=2)
        assert page["EncodingType"] == "url"
        found += [one["Key"] for one in page["Contents"]]
        if page["IsTruncated"] == "false":
            break
        marker = unquote(page["NextMarker"])
    assert sorted(map(unquote, found)) == sorted(odd)
    for wrong in ("encoding-type=html", "max-keys=many", "max-keys=-1"):
        assert code(send(account, "GET", f"/?{wrong}", body=b"")) == "InvalidArgument"


def code(answer: requests.Response) -> str:
    return answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_a_delimiter_makes_folders(account: Account) -> None:
    """All keys below a common prefix are one line, counted as one, and listed once."""
    for key in ("a", "b/1", "b/2", "b/c/3", "d/4", "e"):
        account.sdk.put_object(Bucket=account.bucket, Key=key, Body=b"x")
    found: list[str] = []
    marker = ""
    for _ in range(4):
        page = account.sdk.list_objects(account.bucket, Delimiter="/", Marker=marker, MaxKeys=1)
        found += [one["Key"] for one in page.get("Contents", [])]
        found += [one["Prefix"] for one in page.get("CommonPrefixes", [])]
        marker = page.get("NextMarker", "")
    assert (found, page["IsTruncated"]) == (["a", "b/", "d/", "e"], "false")
    below = account.sdk.list_objects(account.bucket, Prefix="b/", Delimiter="/")
    assert [one["Key"] for one in below["Contents"]] == ["b/1", "b/2"]
    assert [one["Prefix"] for one in below["CommonPrefixes"]] == ["b/c/"]


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
        assert body.startswith(b"ID3")
    left = {one["Key"] for one in account.sdk.list_objects(account.bucket)["Contents"]}
    assert left == {f"o/{name}.mp3" for name in files}


def test_a_job_without_an_output_of_its_mode_fails(account: Account) -> None:
    """Only a background key, but only the voice is made."""
    separation = {"AudioMode": "IsAudio", "AudioConfig": {"Codec": "mp3"}}
    operation = account.operation(VoiceSeparate=separation, Output=account.output(AuObject=None))
    assert account.wait(account.submit(Operation=operation), "Failed")["Code"] == "InvalidArgument"


def test_an_object_of_an_older_version_has_its_checksum_too(tmp_path: Path) -> None:
    """A database that was written before there were any is read as it is."""
    database = Database(tmp_path)
    database.write(
        "INSERT INTO objects (bucket, key, body, etag, headers, modified) VALUES (?, ?, ?, ?, ?, ?)",
        *("b", "k", b"123456789", md5(b"123456789"), '{"Content-Type": "a/b"}', 0.0),
    )
    stored = Objects(database).get("b", "k")
    assert stored is not None
    assert stored.headers == {"Content-Type": "a/b", "x-cos-hash-crc64ecma": "11051210869376104954"}
