"""Bodies that a stranger may make up, with a token of ours, over real HTTP.

Each is taken or refused, never 5xx, never for long, and whatever was taken can be read in every way.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
import requests

from app.ci.bounds import cut
from harness.servers import Web
from tests.ci import samples
from tests.receiver.callbacks import a_token, body, body_of, post

MIB = 2**20


@pytest.fixture(autouse=True)
def unharmed(web: Web) -> Iterator[None]:
    """The same process, no fault in its log."""
    said = len(web.web.text())
    yield
    assert requests.get(f"{web.url}/healthz", timeout=10).ok
    assert "Traceback" not in web.web.text()[said:]


def memory(web: Web) -> int:
    master = psutil.Process(web.web.pid)
    return sum(each.memory_info().rss for each in (master, *master.children(recursive=True)))


def send(web: Web, content: bytes) -> requests.Response:
    """Answered soon, and by no fault of ours."""
    started = time.monotonic()
    answer = post(web.url, a_token(web.settings), content)
    assert answer.status_code in {200, 400, 413, 415}, answer.text
    assert time.monotonic() - started < 30, "a parser that is quadratic takes minutes"
    if answer.status_code == 200:
        for result in answer.json()["results"]:
            readable(web, result["job_id"])
    else:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert len(answer.text) < 2000
    return answer


def readable(web: Web, job_id: str) -> None:
    """Every view of the job answers 200 with JSON that is UTF-8, and the lists hold it."""
    address = f"/v1/jobs/{quote(job_id, safe='')}"
    job = web.call("GET", address)
    assert job.status_code == 200, (job_id, job.text)
    assert job.json()["job_id"] == job_id
    json.dumps(job.json(), ensure_ascii=False).encode()
    assert web.call("GET", address, headers={"If-None-Match": job.headers["ETag"]}).status_code == 304
    events = web.call("GET", f"{address}/events").json()["events"]
    assert events
    assert web.call("GET", f"{address}/events/{events[0]['entry']}/raw").status_code == 200
    assert web.call("GET", f"{address}?wait=0.1").status_code == 200
    asked = web.call("POST", f"{address}/refresh")
    assert asked.json()["reason"] in {"ci_unavailable", "ci_refused", "not_askable"}
    for field in ("state", "tag", "user_data", "queue_id"):
        value = job.json()[field]
        if value and len(value) < 2000:
            listed = web.call("GET", "/v1/jobs", params={field: value, "limit": 200})
            assert listed.status_code == 200, (field, value)
            assert job_id in [each["job_id"] for each in listed.json()["jobs"]]
    assert web.call("GET", "/v1/jobs?limit=200").status_code == 200


LAUGHS = b'<!DOCTYPE r [<!ENTITY a "lol">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)
) + b"]><Response>&j;</Response>"  # fmt: skip

XML_BOMBS = {
    "billion laughs": LAUGHS,
    "quadratic": b'<!DOCTYPE r [<!ENTITY a "' + b"A" * 50_000 + b'">]><Response>' + b"&a;" * 20_000 + b"</Response>",
    "100,000 deep": b"<a>" * 40_000 + b"</a>" * 30_000,
    "never closed": b"<a>" * 80_000,
    "attributes": b"<Response " + b" ".join(b'a%d="x"' % n for n in range(20_000)) + b"/>",
    "a long attribute": b'<Response a="' + b"x" * 200_000 + b'"/>',
    "a long name": b"<" + b"x" * 200_000 + b"/>",
    "many nodes": b"<Response>" + b"<a/>" * 60_000 + b"</Response>",
    "comments": b"<!-- " + b"x" * 200_000 + b" --><Response/>",
    "processing": b"<?x " + b"y" * 200_000 + b"?><Response/>",
    "cdata": b"<Response><![CDATA[" + b"x" * 200_000 + b"]]></Response>",
    "character references": b"<Response>" + b"&#65;" * 40_000 + b"</Response>",
    "no such entity": b"<Response>&nbsp;</Response>",
    "a null": b"<Response>\x00</Response>",
    "a null by reference": b"<Response>&#0;</Response>",
    "a surrogate by reference": b"<Response>&#xD800;</Response>",
    "two roots": b"<Response/><Response/>",
    "two declarations": b"<?xml version='1.0'?><?xml version='1.0'?><Response/>",
    "version 9": b"<?xml version='9.0'?><Response/>",
    "xinclude": b'<Response xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="file:///etc/passwd"/></Response>',
    "namespaces": b"<Response " + b" ".join(b'xmlns:n%d="u"' % n for n in range(5000)) + b"/>",
}  # fmt: skip


@pytest.mark.parametrize("name", XML_BOMBS)
def test_xml_bombs(web: Web, name: str) -> None:
    """Refused in a moment, without growing."""
    before = memory(web)
    assert send(web, XML_BOMBS[name]).status_code in {400, 413}
    assert memory(web) - before < 80 * MIB


def test_external_entities_touch_no_file_and_no_network(web: Web, tmp_path: Path) -> None:
    """Nothing is opened: a pipe that would block, and a server that would hear of it, hear nothing."""
    pipe = tmp_path / "pipe"
    pipe.write_text("the secret")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.5)
    visited = threading.Event()

    def listen() -> None:
        try:
            listener.accept()
            visited.set()
        except TimeoutError:
            pass

    thread = threading.Thread(target=listen)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/x.dtd"
    for target in (
        f"file://{pipe}",
        str(pipe),
        url,
        "file:///dev/random",
        "php://filter",
        "ftp://127.0.0.1/x",
    ):
        for text in (
            f'<!DOCTYPE r [<!ENTITY x SYSTEM "{target}">]><Response><JobId>&x;</JobId></Response>',
            f'<!DOCTYPE r SYSTEM "{target}"><Response/>',
            f'<!DOCTYPE r PUBLIC "x" "{target}"><Response/>',
            f'<!DOCTYPE r [<!ENTITY % x SYSTEM "{target}"> %x;]><Response/>',
            f'<?xml-stylesheet href="{target}"?><Response/>',
            f'<Response xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="x {target}"/>',
        ):
            answer = send(web, text.encode())
            assert answer.status_code == 400
            assert "secret" not in answer.text
    thread.join()
    listener.close()
    assert not visited.is_set()


JSON_BOMBS = {
    "100,000 deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "never closed": b"[" * 200_000,
    "many nodes": b'{"JobsDetail":[' + b"1," * 120_000 + b"1]}",
    "many names": b"{" + b",".join(b'"%d":0' % n for n in range(20_000)) + b"}",
    "10,000 digits": b'{"JobsDetail":{"JobId":' + b"9" * 10_000 + b"}}",
    "a huge exponent": b'{"JobsDetail":{"JobId":1e999999999}}',
    "nan": b'{"JobsDetail":{"JobId":NaN}}',
    "infinity": b'{"JobsDetail":{"JobId":"j","Progress":-Infinity}}',
    "two documents": b'{"JobsDetail":{"JobId":"j1"}}{"JobsDetail":{"JobId":"j2"}}',
    "trailing comma": b'{"JobsDetail":{"JobId":"j1"},}',
    "comments": b'{/* x */"JobsDetail":{"JobId":"j1"}}',
    "single quotes": b"{'JobsDetail':{'JobId':'j1'}}",
    "a top-level array": b'[{"JobsDetail":{"JobId":"j1"}}]',
    "details that are none": b'{"JobsDetail":[1,"x",null,[]]}',
    "a hundred and one jobs": b'{"JobsDetail":[' + b",".join(b'{"JobId":"j%d"}' % n for n in range(101)) + b"]}",
    "a null in an id": b'{"JobsDetail":{"JobId":"j\\u0000x"}}',
    "a raw null": b'{"JobsDetail":{"JobId":"j\x00x"}}',
    "an id that is a list": b'{"JobsDetail":{"JobId":["j1","j2"]}}',
    "an id that is an object": b'{"JobsDetail":{"JobId":{"#text":"j1"}}}',
    "two ids": b'{"JobsDetail":{"JobId":"j1","JobId":"j2"}}',
}  # fmt: skip


@pytest.mark.parametrize("name", JSON_BOMBS)
def test_json_bombs(web: Web, name: str) -> None:
    """Refused in a moment, or taken and then readable."""
    before = memory(web)
    send(web, JSON_BOMBS[name])
    assert memory(web) - before < 80 * MIB


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
    """UTF-8 with or without a mark is read; what else a codec could make of the bytes is refused."""
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
    """Any text may stand in any field but the JobId; it comes back as it came within its bound (what XML cannot hold
    as U+FFFD); raw has all of it."""
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
    """Numbers, truths, lists and objects where CI has texts: taken, and readable."""
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
    """An id is untrusted text: what is taken can be asked for by every address, and is found in the lists."""
    answer = send(web, json.dumps({"JobsDetail": samples.voice_separate(JobId=job_id)}).encode())
    allowed = (
        0 < len(job_id) <= 128
        and all("!" <= letter <= "~" and letter not in "/\\%?#" for letter in job_id)
        and job_id not in {".", "..", "-"}
    )
    assert answer.status_code == (200 if allowed else 400), answer.text
    if not allowed:
        assert answer.json()["reason"] == "bad_job_id"


def test_a_hundred_jobs_in_one_body(web: Web) -> None:
    """As many as may be: each is kept, and the body only once for each."""
    details = [samples.voice_separate(JobId=f"jmany{n}") for n in range(100)]
    before = memory(web)
    content = body_of(details)
    answer = post(web.url, a_token(web.settings), content[: web.settings.max_body])
    assert answer.status_code in {200, 400}
    assert memory(web) - before < 80 * MIB


def test_refusals_quote_little(web: Web) -> None:
    """At most a hundred letters of what was sent, and none that could do anything in a terminal or a page."""
    answer = post(web.url, a_token(web.settings), b"<\x1b[31m\x07<script>" + b"A" * 10_000)
    assert len(answer.json()["detail"]) < 400
    assert "\x1b" not in answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
