"""XML made to exhaust the parser: whatever defusedxml refuses with forbid_dtd=True is refused here too, and
quickly."""

import encodings
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from app.ci.incoming import limits
from app.ci.incoming.payload import Refused, parse
from app.ci.incoming.xml_view import view_by_handlers, xml_view
from tests.ci.samples import event, voice_separate, xml

JOB = "<Response><JobsDetail><JobId>j1</JobId><State>{}</State></JobsDetail></Response>"


def bomb(depth: int, fan: int) -> bytes:
    entities = ['<!ENTITY e0 "ha">'] + [f'<!ENTITY e{n} "{f"&e{n - 1};" * fan}">' for n in range(1, depth)]
    return f"<!DOCTYPE x [{''.join(entities)}]>{JOB.format(f'&e{depth - 1};')}".encode()


def with_dtd(inner: str, use: str = "&x;", declaration: str = "") -> bytes:
    return f"{declaration}<!DOCTYPE Response [{inner}]>{JOB.format(use)}".encode()


SECRET = Path("/etc/hostname")

FORBIDDEN = {
    "billion laughs": bomb(10, 10),
    "a small bomb, below expat's own limit": bomb(3, 8),
    "quadratic blow-up": with_dtd(f'<!ENTITY x "{"B" * 50_000}">', "&x;" * 1_000),
    "a cycle": with_dtd('<!ENTITY x "&y;"><!ENTITY y "&x;">'),
    "one harmless entity": with_dtd('<!ENTITY x "text">'),
    "an external file": with_dtd(f'<!ENTITY x SYSTEM "{SECRET.as_uri()}">'),
    "an external address": with_dtd('<!ENTITY x SYSTEM "http://127.0.0.1:9/x">'),
    "an external public id": with_dtd('<!ENTITY x PUBLIC "p" "http://127.0.0.1:9/x">'),
    "a parameter entity": with_dtd('<!ENTITY % p SYSTEM "http://127.0.0.1:9/p.dtd"> %p;', ""),
    "an internal parameter entity": with_dtd("<!ENTITY % p '<!ENTITY x \"y\">'> %p;"),
    "an unparsed entity": with_dtd('<!NOTATION n SYSTEM "n"><!ENTITY x SYSTEM "f" NDATA n>', ""),
    "a DTD elsewhere": b'<!DOCTYPE Response SYSTEM "http://127.0.0.1:9/x.dtd">' + JOB.encode(),
    "a public DTD": b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1:9/">'
    + JOB.encode(),
    "an empty DTD": b"<!DOCTYPE Response>" + JOB.encode(),
    "an empty subset": b"<!DOCTYPE Response []>" + JOB.encode(),
    "default attributes": with_dtd('<!ATTLIST JobId a CDATA "b">', ""),
    "element rules": with_dtd("<!ELEMENT Response ANY>", ""),
    "after a comment that has one": b"<!-- <!DOCTYPE x> -->" + bomb(3, 8),
    "with brackets in its id": b'<!DOCTYPE R SYSTEM "a>b[c">' + JOB.encode(),
    "in a long prolog": b"<?a?>" * 10_000 + bomb(9, 9),
    "standalone": with_dtd('<!ENTITY x "y">', declaration='<?xml version="1.0" standalone="yes"?>'),
    "not standalone": with_dtd('<!ENTITY x "y">', declaration='<?xml version="1.0" standalone="no"?>'),
    "in Latin 1": with_dtd('<!ENTITY x "y">', declaration='<?xml version="1.0" encoding="iso-8859-1"?>'),
}


@pytest.mark.parametrize("body", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_document_types_and_entities_are_refused_where_they_begin(body: bytes) -> None:
    """forbidden_xml, in no time, and nothing is fetched or expanded."""
    with pytest.raises(DefusedXmlException):
        fromstring(body, forbid_dtd=True)
    started = time.thread_time()
    with pytest.raises(Refused) as caught:
        parse(body)
    assert (caught.value.reason, caught.value.status) == ("forbidden_xml", 400)
    assert time.thread_time() - started < 5


def test_the_words_of_a_document_type_are_harmless_where_they_are_text() -> None:
    """In a comment or in CDATA they declare nothing."""
    text = "<!DOCTYPE x [<!ENTITY a 'b'>]>"
    message = f"</State><Message><![CDATA[{text}]]></Message><State>"
    body = f"<!-- {text} -->" + JOB.format(message)
    assert parse(body.encode()).details[0].report.message == text


def test_an_unfinished_document_type_is_refused_too() -> None:
    """Wherever it breaks off."""
    whole = bomb(3, 3)
    for length in range(1, len(whole)):
        with pytest.raises(Refused) as caught:
            parse(whole[:length])
        assert caught.value.reason in {"forbidden_xml", "malformed_xml"}


HARMLESS = {
    "XInclude": '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/hostname" parse="text"/>',
    "a style sheet instruction": '<?xml-stylesheet type="text/xsl" href="http://127.0.0.1:9/x.xsl"?>',
    "XSLT": '<xsl:value-of xmlns:xsl="http://www.w3.org/1999/XSL/Transform" select="document(\'/etc/hostname\')"/>',
    "a schema": '<a xmlns:s="http://www.w3.org/2001/XMLSchema-instance" s:noNamespaceSchemaLocation="http://127.0.0.1:9/"/>',
    "an unbound prefix": "<undeclared:prefix/>",
    "a comment": "<!-- - -->",
    "character references": "&#65;&#x1F600;",
}


@pytest.mark.parametrize("inner", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_only_an_xml_processor_would_follow_is_just_data(inner: str) -> None:
    """Nothing is included, transformed, validated or looked up."""
    body = f"<Response><JobsDetail><JobId>j1</JobId><Odd>{inner}</Odd></JobsDetail></Response>".encode()
    callback = parse(body)
    assert callback.details[0].report.job_id == "j1"
    assert SECRET.read_text().strip() not in str(callback)


BROKEN = {
    "cut off": xml(event(voice_separate()))[:-5],
    "crossed": b"<Response><a></b></Response>",
    "two roots": b"<Response/><Response/>",
    "text after": b"<Response/>x",
    "an undeclared entity": JOB.format("&nope;").encode(),
    "an attribute twice": b'<Response a="1" a="2"/>',
    "a reference beyond Unicode": JOB.format("&#1114112;").encode(),
    "a reference to nothing": JOB.format("&#;").encode(),
    "a control character outside of texts": b"<Response\x01/>",
    "just a bracket": b"<",
    "no name": b"<>",
    "a declaration only": b'<?xml version="1.0"?>',
    "a declaration inside": JOB.format('<?xml version="1.0"?>').encode(),
    "version 9": b'<?xml version="9.9" encoding="?"?><Response/>',
    "CDATA without end": JOB.format("<![CDATA[").encode(),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_broken_xml_is_refused(body: bytes) -> None:
    """400 malformed_xml, with the position."""
    with pytest.raises(Refused) as caught:
        parse(body)
    assert (caught.value.reason, caught.value.status) == ("malformed_xml", 400)


def declared(encoding: str, python_name: str | None = None) -> bytes:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + JOB.format("Zür")
    return text.encode(python_name or encoding)


def test_encodings_that_people_declare_are_read() -> None:
    """UTF-8 under its usual names, and Latin 1 where it is declared."""
    for body in (
        *(declared("utf-8"), declared("UTF-8"), declared("ISO-8859-1")),
        *(declared("utf8", "utf-8"), declared("UTF8", "utf-8"), declared("latin1", "latin-1")),
    ):
        assert parse(body).details[0].report.state == "Zür"
    assert parse(b'<?xml version="1.0" encoding="us-ascii"?>' + JOB.format("x").encode()).kind == "jobs"


OTHER_ENCODINGS = {
    **{name: declared(name) for name in ("utf-7", "cp1252", "gbk", "gb18030", "cp037")},
    "declares a codec of Python's": declared("rot13", "utf-8"),
    "declares another": declared("unicode_escape", "utf-8"),
    "declares punycode": declared("punycode", "utf-8"),
    "declares nothing known": declared("x-unknown-encoding", "utf-8"),
    "declares a path": declared("a.b-c_d", "utf-8"),
    "declares UTF-16 in UTF-8": declared("utf-16", "utf-8"),
    "hides its tags in UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADw-Response+AD4APA-/Response+AD4-',
}


@pytest.mark.parametrize("body", OTHER_ENCODINGS.values(), ids=OTHER_ENCODINGS.keys())
def test_other_encodings_are_refused(body: bytes) -> None:
    """400 or 415; EBCDIC does not even begin with a bracket."""
    with pytest.raises(Refused) as caught:
        parse(body)
    assert caught.value.reason in {"malformed_xml", "unsupported_media_type"}


def test_a_declared_encoding_is_never_looked_up_among_pythons_codecs() -> None:
    """Python's codec look-up would import a module named by the sender, and cache each name without a limit."""
    before = len(encodings._cache)
    for number in range(100):
        with pytest.raises(Refused):
            parse(declared(f"x-{number}", "utf-8"))
    assert len(encodings._cache) == before


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_utf_16_and_32_are_no_media_type_of_ours(encoding: str, mark: str) -> None:
    """415, with or without a byte order mark, in either format."""
    for text in (JOB, '{"JobsDetail": {"JobId": "j1"}}'):
        with pytest.raises(Refused) as caught:
            parse((mark + text).encode(encoding))
        assert (caught.value.reason, caught.value.status) == ("unsupported_media_type", 415)


TOO_MUCH = {
    "100,000 deep": b"<a>" * 100_000,
    "100,000 deep and closed": b"<a>" * 100_000 + b"</a>" * 100_000,
    "deep in a job": JOB.format("<a>" * 100 + "</a>" * 100).encode(),
    "too many nodes": b"<Response>" + b"<a/>" * (limits.CALLBACK.nodes + 1) + b"</Response>",
    "too many attributes": b"<a "
    + b" ".join(b'a%d=""' % n for n in range(limits.CALLBACK.nodes + 1))
    + b"/>",
    "too many jobs": xml(event([{"JobId": f"j{n}"} for n in range(limits.CALLBACK.details + 1)])),
}


@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_too_much_structure_is_refused(body: bytes) -> None:
    """400 too_complex, after little CPU time."""
    started = time.thread_time()
    with pytest.raises(Refused) as caught:
        parse(body)
    assert (caught.value.reason, caught.value.status) == ("too_complex", 400)
    assert time.thread_time() - started < 5


SLOW = {
    "one long text": JOB.format("x" * 10**6),
    "one long name": JOB.format(f"<{'x' * 10**6}/>"),
    "one long attribute": JOB.format(f'<a b="{"x" * 10**6}"/>'),
    "one long comment": JOB.format(f"<!--{'x' * 10**6}-->"),
    "text in many pieces": JOB.format("a<b/>" * 40_000),
    "references": JOB.format("&amp;" * 200_000),
    "one name many times": JOB.format("<a>b</a>" * 40_000),
    "many names": JOB.format("".join(f"<a{n}/>" for n in range(40_000))),
    "line ends": JOB.format("\r\n" * 500_000),
}


@pytest.mark.parametrize("body", SLOW.values(), ids=SLOW.keys())
def test_a_megabyte_of_anything_takes_little_time(body: str) -> None:
    """No part of the reader is quadratic."""
    started = time.thread_time()
    assert parse(body.encode()).kind == "jobs"
    assert time.thread_time() - started < 5


def test_xml_without_an_equivalent_in_json_is_kept() -> None:
    """Attributes, text between children, repeated and empty nodes."""
    body = (
        b"<Response><JobsDetail a='1'>x <JobId>j1</JobId> y<N/><N></N><N>2</N><!-- - --><M b='2'>t</M>"
        b"<C><![CDATA[<&]]>&amp;</C><W>\n  </W></JobsDetail></Response>"
    )
    assert parse(body).details[0].raw == {
        "@a": "1",
        "JobId": "j1",
        "N": ["", "", "2"],
        "M": {"@b": "2", "#text": "t"},
        "C": "<&&",
        "W": "",
        "#text": "x  y",
    }


ODD = st.sampled_from(
    ["<a>", "</a>", "<b>", "</b>", "<a/>", "x", " ", "\n", "&lt;", "&#65;", "&#1;", "&bad;", "]]>", "=", ":", "<c:a>",
     "</c:a>", "<a x='1'>", "<!-- c -->", "<?p?>", "<![CDATA[<]]>", "<!DOCTYPE a>", "é", "\x00", "<", ">", "&"]
)  # fmt: skip


@given(st.lists(ODD, max_size=12), st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>', "<?xml?>"]))
def test_both_readers_see_the_same(pieces: list[str], declaration: str) -> None:
    """Small plain XML has a reader of its own: it gives the same view, and the same error, as the reader for the
    rest."""
    body = f"{declaration}<R>{''.join(pieces)}</R>".encode()
    assert outcome(xml_view, body) == outcome(view_by_handlers, body)


def test_both_readers_count_levels_alike() -> None:
    for depth in (limits.CALLBACK.depth, limits.CALLBACK.depth + 1):
        body = ("<a>" * depth + "</a>" * depth).encode()
        assert outcome(xml_view, body) == outcome(view_by_handlers, body)


def outcome(read: Callable[[bytes, limits.BodyLimits], object], body: bytes) -> object:
    try:
        return read(body, limits.CALLBACK)
    except Refused as error:
        return error.reason, str(error)
