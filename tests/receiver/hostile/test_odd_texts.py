"""Odd encodings, texts, values and job ids: refused, or stored and readable in every way."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from app.ci.bounds import cut
from harness.servers import Web
from tests.ci import samples
from tests.receiver.callbacks import a_token, body, post
from tests.receiver.hostile.sending import send

pytestmark = pytest.mark.usefixtures("no_fault")


def _encoded() -> Iterator[tuple[str, bytes]]:
    as_json = body(JobId="jencoded").decode()
    as_xml = samples.xml(samples.event(samples.voice_separate(JobId="jencoded"))).decode()
    for form, text in (("json", as_json), ("xml", as_xml)):
        for coding in (
            "utf-8",
            "utf-8-sig",
            "utf-16",
            "utf-16-le",
            "utf-16-be",
            "utf-32",
            "utf-7",
            "cp037",
            "latin-1",
        ):
            yield f"{form} in {coding}", text.encode(coding)
        yield f"{form} with blanks before", b" \r\n\t" + text.encode()
        yield (
            f"{form} with an invalid byte",
            text.replace("tune", "t\x00ne").encode().replace(b"\x00", b"\xff"),
        )
        yield f"{form} with an overlong slash", text.encode().replace(b"in/tune", b"in\xc0\xaftune")
        yield f"{form} with a surrogate in UTF-8", text.encode().replace(b"tune", b"\xed\xa0\x80")
        yield f"{form} with a null", text.encode().replace(b"tune", b"tu\x00ne")
    for name in (
        "utf-7",
        "utf-16",
        "utf-32",
        "cp037",
        "rot13",
        "zlib",
        "idna",
        "unicode_escape",
        "x" * 1000,
        "../os",
    ):
        yield f"xml declared as {name[:20]}", f'<?xml version="1.0" encoding="{name}"?>{as_xml}'.encode()


@pytest.mark.parametrize(
    ("name", "content"), list(_encoded()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_other_encodings(web: Web, name: str, content: bytes) -> None:
    """UTF-8 is read, with or without a byte order mark; UTF-16, UTF-32 and EBCDIC are refused."""
    answer = send(web, content)
    plain = name.endswith((" in utf-8", " in utf-8-sig", " in latin-1", " in utf-7", " with blanks before"))
    if plain:
        assert answer.status_code == 200
    elif "utf-16" in name or "utf-32" in name or "cp037" in name:
        assert answer.status_code in {400, 415}


ODD_TEXTS = [
    "'; DROP TABLE jobs; --",
    '" onload=alert(1) <script>alert(2)</script>',
    "{0.__class__} %s %n ${jndi:ldap://x} {{7*7}} $(id) `id`",
    "../../etc/passwd",
    "a:b|c{d}*?[e]",
    "\u202eesrever\u202c \u0000 \x1b[31mred",
    "😀 令牌 ключ é \u0301",
    "\ud800 lone \udfff",
    "\r\nX-Injected: yes",
    "x" * 5_000,
    "\ufeff\u200b\u2028",
]


@pytest.mark.parametrize("number", range(len(ODD_TEXTS)))
def test_odd_texts_in_every_field(web: Web, number: int) -> None:
    """Any field but the JobId may hold any text: the record has it within its bound (U+FFFD for what XML cannot hold),
    raw has all of it."""
    odd = ODD_TEXTS[number]
    detail = samples.voice_separate(
        JobId=f"jodd{number}",
        Tag=odd,
        State="Failed",
        Code=odd,
        Message=odd,
        CreationTime=odd,
        EndTime=odd,
        Progress=odd,
        QueueId=odd,
        QueueType=odd,
        Input={"BucketId": odd, "Region": odd, "Object": odd, "Url": odd, odd: odd},
        Operation={
            "UserData": odd,
            "JobLevel": odd,
            "TemplateId": odd,
            "TemplateName": odd,
            "Output": {"Object": odd, "AuObject": odd, "Bucket": odd, "Region": odd},
            "MediaResult": {
                "OutputFile": {
                    "ObjectPrefix": odd,
                    "ObjectName": [odd, odd],
                    "Md5Info": [{"ObjectName": odd, "Md5": odd}],
                    "Bucket": odd,
                    "Region": odd,
                }
            },
        },
        Workflow={"RunId": odd, "WorkflowId": odd, "Name": odd},
    )
    content = json.dumps({"EventName": odd, "JobsDetail": detail}).encode()
    answer = send(web, content)
    assert answer.status_code == 200, answer.text
    job = web.call("GET", f"/v1/jobs/jodd{number}").json()
    expected = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", "\ufffd", odd)
    assert job["message"] == cut("message", expected)
    assert job["raw"]["Message"] == expected
    assert job["outputs"]
    answer = send(web, json.dumps({"JobsDetail": {"JobId": f"joddstate{number}", "State": odd}}).encode())
    assert answer.status_code == 200, answer.text
    assert web.call("GET", f"/v1/jobs/joddstate{number}").json()["doubt"]["reported"]["state"]


@pytest.mark.parametrize(
    "value", ["1", "true", "false", "null", "[]", "{}", "[[]]", "-0", "1e5", "0.1", '[{"a":1}]', '""']
)
def test_odd_values_in_every_field(web: Web, value: str) -> None:
    """Numbers, booleans, lists and objects in place of text are stored and readable."""
    job_id = f"jvalue{abs(hash(value))}"
    names = [name for name in samples.voice_separate() if name != "JobId"]
    fields = ",".join(f'"{name}":{value}' for name in names)
    assert (
        send(
            web, f'{{"EventName":{value},"JobsDetail":{{"JobId":"{job_id}",{fields}}}}}'.encode()
        ).status_code
        == 200
    )


JOB_IDS = [
    "'", '"', "'; DROP TABLE--", 'a\'b"c', "{}", "{0}", "%s", "%00", "*", "j*", "j?", "j[a-z]", "^",
    "a:b", ":", "a|b", "|", "{tag}", "$(id)", "`id`", "<script>", "&amp;", "a&b=c", "a=b", "a;b", "a,b",
    "~", "!", "@", "(", ")", "-", "--help", "-x", "--json", "+", "$", "_", "...", ".a", "a.", "x" * 128,
    "x" * 129, "x" * 10000, "\u00e9", "\u4ee4", "a b", " ", "a\tb", "a\nb", "../x", "a/b", "/", "\\",
    "a\\b", "..", ".", "a?b", "a#b", "#", "events", "None", "null", "0", "True", "job:1:history",
    "\ud800", "\u007f", "\u0000",
]  # fmt: skip


@pytest.mark.parametrize("job_id", JOB_IDS, ids=lambda text: ascii(text)[:30])
def test_odd_job_ids_are_refused_or_work_everywhere(web: Web, job_id: str) -> None:
    """An accepted JobId works in every address and is found in the lists."""
    answer = send(web, json.dumps({"JobsDetail": samples.voice_separate(JobId=job_id)}).encode())
    allowed = (
        0 < len(job_id) <= 128
        and all("!" <= letter <= "~" and letter not in "/\\%?#" for letter in job_id)
        and job_id not in {".", "..", "-"}
    )
    assert answer.status_code == (200 if allowed else 400), answer.text
    if not allowed:
        assert answer.json()["reason"] == "bad_job_id"


def test_refusals_quote_little(web: Web) -> None:
    """A refusal quotes a short part of the body, without control characters or markup that a page would run."""
    answer = post(web.url, a_token(web.settings), b"<\x1b[31m\x07<script>" + b"A" * 10_000)
    assert len(answer.json()["detail"]) < 400
    assert "\x1b" not in answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
