"""Bodies that take the most CPU time, each of the size of MAX_BODY.

It prints the CPU time of reading each, accepted or refused. The test suite limits the number of calls for the same
bodies, which does not depend on the machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial

from app.ci.incoming.limits import CALLBACK
from app.ci.incoming.payload import Refused, parse
from bench.options import Options
from bench.table import Row, row

SIZE = 2**20
_SHOWN = 10

X0, X1 = b"<Response><JobsDetail><JobId>j</JobId>", b"</JobsDetail></Response>"
J0, J1 = b'{"JobsDetail":{"JobId":"j"', b"}}"
XF = b"<Operation><MediaResult><OutputFile>", b"</OutputFile></MediaResult></Operation>"
JF = b',"Operation":{"MediaResult":{"OutputFile":', b"}}"


Body = Callable[[], bytes]
"""Makes a body; what is only named costs nothing."""


def _xml(unit: bytes | Callable[[int], bytes], before: bytes = b"", after: bytes = b"") -> Body:
    return partial(_filled, X0 + before, unit, after + X1)


def _json(unit: bytes | Callable[[int], bytes], before: bytes = b"", after: bytes = b"") -> Body:
    return partial(_filled, J0 + before, unit, after + J1)


def _filled(head: bytes, unit: bytes | Callable[[int], bytes], tail: bytes) -> bytes:
    left = SIZE - len(head) - len(tail)
    if isinstance(unit, bytes):
        return head + unit * (left // len(unit)) + tail
    made, number = bytearray(head), 0
    while len(made) + len(tail) + len(one := unit(number)) <= SIZE:
        made += one
        number += 1
    return bytes(made) + tail


def _long(before: bytes, after: bytes) -> Body:
    return lambda: before + b"1" * (SIZE - len(before) - len(after)) + after


def bodies() -> dict[str, Body]:
    """The bodies by name."""
    a, b = b"<A>", b"</A>"
    text, end = b',"a":"', b'"'
    many, close = b',"a":[', b"0]"
    return {
        "xml: empty nodes": _xml(b"<A/>"),
        "xml: leaves": _xml(b"<A>b</A>"),
        "xml: all names different": _xml(lambda n: b"<a%x/>" % n),
        "xml: deep": _xml(b"<a>"),
        "xml: attributes of one node": _xml(lambda n: b'a%x="" ' % n, b"<A ", b"/>"),
        "xml: namespaces of one node": _xml(lambda n: b'xmlns:a%x="" ' % n, b"<A ", b"/>"),
        "xml: an attribute each": _xml(b'<A a=""/>'),
        "xml: eight attributes each": _xml(b'<A a="" b="" c="" d="" e="" f="" g="" h=""/>'),
        "xml: text in pieces": _xml(b"a<b/>"),
        "xml: references": _xml(b"&#65;", a, b),
        "xml: bad references": _xml(b"&#1;a", a, b),
        "xml: entities": _xml(b"&amp;", a, b),
        "xml: bad references in CDATA": _xml(b"<![CDATA[&#1;]]>", a, b),
        "xml: comments": _xml(b"<!---->"),
        "xml: instructions": _xml(b"<?a?>"),
        "xml: control characters": _xml(b"\x01a", a, b),
        "xml: not UTF-8": _xml(b"\xffa", a, b),
        "xml: line ends": _xml(b"\r\n", a, b),
        "xml: a long name": _long(X0 + b"<a", b"/>" + X1),
        "xml: a long attribute": _long(X0 + b'<a b="', b'"/>' + X1),
        "xml: a long tag": _long(X0 + b"<Tag>", b"</Tag>" + X1),
        "xml: a time of many digits": _long(X0 + b"<EndTime>2024-01-01T00:00:00.", b"x</EndTime>" + X1),
        "xml: output names": _xml(lambda n: b"<ObjectName>a%d</ObjectName>" % n, *XF),
        "xml: output files": _xml(
            b"<OutputFile><ObjectName>a</ObjectName></OutputFile>", XF[0][:-12], XF[1][13:]
        ),
        "json: integers": _json(b"0,", many, close),
        "json: fractions": _json(b"0.5,", many, close),
        "json: strings": _json(b'"",', many, close),
        "json: objects": _json(b"{},", many, close),
        "json: arrays": _json(b"[],", many, close),
        "json: all names different": _json(lambda n: b',"%x":0' % n),
        "json: one name repeated": _json(b',"a":0'),
        "json: one name for many lists": _json(b',"a":[]'),
        "json: deep": _json(b"[", b',"a":'),
        "json: an integer of many digits": _long(J0 + b',"a":', J1),
        "json: a fraction of many digits": _long(J0 + b',"EndTime":0.', J1),
        "json: a time of many digits": _long(J0 + b',"EndTime":"2024-01-01T00:00:00.', b'x"' + J1),
        "json: escapes": _json(rb"\\", text, end),
        "json: escaped letters": _json(rb"\u0041", text, end),
        "json: half surrogate pairs": _json(rb"\ud800", text, end),
        "json: control characters, escaped": _json(rb"\b\u001b", text, end),
        "json: control characters": _json(b"\x01a", text, end),
        "json: not UTF-8": _json(b"\xffa", text, end),
        "json: unterminated quotes": partial(_filled, J0 + text, rb"\"", b""),
        "json: commas in a string": _json(b",", text, end),
        "json: states": _json(b'"a",', b',"State":[', close),
        "json: output names": _json(lambda n: b'"a%d",' % n, JF[0] + b'{"ObjectName":[', b'"z"]}' + JF[1]),
        "json: output files": _json(b'{"ObjectName":"a"},', JF[0] + b"[", b"{}]" + JF[1]),
        "json: MD5 sums": _json(
            lambda n: b'{"ObjectName":"a%d"},' % n,
            JF[0] + b'{"ObjectName":"a","Md5Info":[',
            b"{}]}" + JF[1],
        ),
        **_within(),
        "xml: 10,000 files with MD5": partial(snapshots_xml, 10_000),
        "json: 10,000 files with MD5": partial(snapshots_json, 10_000),
    }


def _within() -> dict[str, Body]:
    """Bodies just within the limits, which are read to the end."""
    nodes = CALLBACK.nodes - 20
    return {
        "xml: the maximum of nodes": lambda: X0 + b"".join(b"<a%x/>" % n for n in range(nodes)) + X1,
        "xml: the maximum of files": _most_files,
        "json: the maximum of names": lambda: J0 + b"".join(b',"%x":0' % n for n in range(nodes)) + J1,
        "json: the maximum of objects": lambda: J0 + b',"a":[' + b"{}," * (nodes // 2) + b"0]" + J1,
        "json: the maximum of jobs": partial(_most_jobs, nodes),
    }


def _most_files() -> bytes:
    prefix = b"<ObjectPrefix>" + b"p" * 200 + b"</ObjectPrefix>"
    names = b"".join(b"<ObjectName>a%d</ObjectName>" % n for n in range(CALLBACK.outputs))
    return X0 + XF[0] + prefix + names + XF[1] + X1


def _most_jobs(nodes: int) -> bytes:
    jobs = [{"JobId": f"j{n}", "a": [0] * (nodes // 102)} for n in range(CALLBACK.details)]
    return json.dumps({"JobsDetail": jobs}).encode()


def snapshots_xml(count: int) -> bytes:
    """The largest body that CI is known to send: a job with that number of snapshots."""
    files = b"".join(
        b"<ObjectName>s%d.jpg</ObjectName><Md5Info><ObjectName>s%d.jpg</ObjectName><Md5>%032x</Md5></Md5Info>"
        % (n, n, n)
        for n in range(count)
    )
    return X0 + XF[0] + files + XF[1] + X1


def snapshots_json(count: int) -> bytes:
    names = [f"s{n}.jpg" for n in range(count)]
    sums = [{"ObjectName": name, "Md5": f"{n:032x}"} for n, name in enumerate(names)]
    file = {"ObjectName": names, "Md5Info": sums}
    return json.dumps(
        {"JobsDetail": {"JobId": "j", "Operation": {"MediaResult": {"OutputFile": file}}}}
    ).encode()


def read(body: bytes) -> str:
    """``accepted``, or the reason of the refusal. Includes computing the digest, as in the receiver."""
    try:
        for detail in parse(body).details:
            assert detail.report.digest
    except Refused as refused:
        return refused.reason
    return "accepted"


def milliseconds(body: bytes, tries: int = 3) -> float:
    best = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        read(body)
        best = min(best, (time.thread_time() - began) * 1000)
    return best


def measure(_options: Options) -> list[Row]:
    """The rows of the slowest bodies."""
    made = {name: make() for name, make in bodies().items()}
    measured = sorted(((milliseconds(body), name) for name, body in made.items()), reverse=True)
    section = f"worst bodies: the slowest {_SHOWN} of {len(made)}, processor time of reading one"
    return [
        row(section, f"{name}, {len(made[name]):,} bytes: {read(made[name])}", [taken], "ms", aim=100)
        for taken, name in measured[:_SHOWN]
    ]
