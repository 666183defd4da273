"""XML and JSON made to exhaust a parser, with a valid token, over real HTTP: never 5xx, never for long."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from harness.servers import Web
from tests.ci import samples
from tests.receiver.callbacks import a_token, body_of, post
from tests.receiver.hostile.process import MIB, memory
from tests.receiver.hostile.sending import send

pytestmark = pytest.mark.usefixtures("no_fault")


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
    """Refused without a delay, and the process does not grow."""
    before = memory(web)
    assert send(web, XML_BOMBS[name]).status_code in {400, 413}
    assert memory(web) - before < 80 * MIB


def test_external_entities_touch_no_file_and_no_network(web: Web, tmp_path: Path) -> None:
    """No entity reads the file or connects to the listening server."""
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
    """Refused without a delay, or stored and readable."""
    before = memory(web)
    send(web, JSON_BOMBS[name])
    assert memory(web) - before < 80 * MIB


def of_many(jobs: int, name: str) -> bytes:
    """A body of that many finished jobs, within MAX_BODY."""
    return body_of([samples.voice_separate(JobId=f"j{name}{n}") for n in range(jobs)])


def test_a_hundred_jobs_in_one_body_are_stored(web: Web) -> None:
    """The maximum of jobs in one body: each is accepted and stored as it was reported, and the process does not
    grow."""
    content, before = of_many(100, "most"), memory(web)
    assert len(content) <= web.settings.max_body
    answer = post(web.url, a_token(web.settings), content)
    assert memory(web) - before < 80 * MIB
    assert answer.status_code == 200, answer.text
    names = [f"jmost{n}" for n in range(100)]
    assert answer.json()["results"] == [{"job_id": name, "outcome": "accepted"} for name in names]
    stored = {name: web.services.store.jobs.get(name) for name in names}
    assert {name: job and job.state for name, job in stored.items()} == dict.fromkeys(names, "Success")


def test_a_hundred_and_one_jobs_in_one_body_are_refused(web: Web) -> None:
    """400 ``too_complex`` although the size is allowed, and none of the jobs is stored."""
    content = of_many(101, "more")
    assert len(content) <= web.settings.max_body
    answer = post(web.url, a_token(web.settings), content)
    assert (answer.status_code, answer.json()["reason"]) == (400, "too_complex")
    assert answer.json()["detail"] == "Found 101 jobs in one body; expected at most 100"
    assert [n for n in range(101) if web.services.store.jobs.get(f"jmore{n}")] == []
