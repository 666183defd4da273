"""A bad character is replaced by U+FFFD and costs nothing else: in callbacks and CI's answers, in XML and JSON."""

import json

import pytest

from app.ci.incoming.payload import parse, parse_answer, parse_error, read_body_view
from app.ci.incoming.refused import Refused

XML = b"<Response><JobsDetail><JobId>j1</JobId><Message>a%sb</Message></JobsDetail></Response>"
JSON = b'{"JobsDetail": [{"JobId": "j1", "Message": "a%sb"}]}'

IN_BOTH = {
    **{f"control character {code:#x}": bytes([code]) for code in range(32) if code not in b"\t\n\r"},
    "a byte that is no UTF-8": b"\xe9",
    "U+FFFE": "\ufffe".encode(),
    "U+FFFF": "\uffff".encode(),
}
IN_BOTH_SEVERAL = {
    "overlong UTF-8": b"\xc0\xaf",
    "a surrogate in UTF-8": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "GBK": "音".encode("gbk"),
}
REFERENCES = [
    *(f"&#{code};" for code in (*range(9), 11, 12, *range(14, 32), 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xFFFE, 0xFFFF)),
    *("&#x1b;", "&#x1B;", "&#X1b;", "&#x0;", "&#000;", "&#0027;", "&#x001b;", "&#xD83D;", "&#xffff;"),
]  # fmt: skip
GOOD_REFERENCES = [9, 10, 13, 32, 65, 130, 160, 271, 2700, 0xD7FF, 0xE000, 0xFFFD, 0x10000, 0x1F600, 0x10FFFF]


def messages(body: bytes) -> list[str | None]:
    return [parse(body).details[0].report.message, parse_answer(body).details[0].report.message]


@pytest.mark.parametrize("bad", IN_BOTH.values(), ids=IN_BOTH.keys())
def test_a_bad_character_is_replaced(bad: bytes) -> None:
    """XML and JSON give the same record, and its raw view can be stored."""
    xml, dumped = XML % bad, JSON % bad
    assert messages(xml) == messages(dumped) == ["a\ufffdb"] * 2
    assert parse(xml).details == parse(dumped).details
    json.dumps(parse(xml).details[0].raw, ensure_ascii=False).encode()


@pytest.mark.parametrize("bad", IN_BOTH_SEVERAL.values(), ids=IN_BOTH_SEVERAL.keys())
def test_bytes_that_are_no_characters_are_replaced(bad: bytes) -> None:
    """What stands around them stays."""
    assert messages(XML % bad) == messages(JSON % bad)
    found = messages(XML % bad)[0] or ""
    assert found[0] + found[-1] == "ab"
    assert set(found[1:-1]) == {"\ufffd"}


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_to_a_bad_character_is_replaced(reference: str) -> None:
    """Like the character itself; `&#X…` is not valid XML, and is replaced too."""
    assert messages(XML % reference.encode()) == ["a\ufffdb"] * 2


@pytest.mark.parametrize("code", GOOD_REFERENCES)
def test_references_to_good_characters_are_left_alone(code: int) -> None:
    """In either base, zeros in front or not."""
    for form in ("&#{};", "&#00{};", "&#x{:x};", "&#x0{:X};"):
        assert messages(XML % form.format(code).encode()) == [f"a{chr(code)}b"] * 2


def test_in_cdata_a_reference_is_text() -> None:
    """There it is the caller's own text and is kept; a control character is replaced."""
    assert messages(XML % b"<![CDATA[&#27;\x1b]]>&#27;") == ["a&#27;\ufffd\ufffdb"] * 2
    assert messages(XML % b"&#27;<![CDATA[&#27;]]>") == ["a\ufffd&#27;b"] * 2


def test_line_ends_and_tabs_in_strings_of_json_are_kept() -> None:
    """JSON forbids them bare; XML does not."""
    assert messages(JSON % b"\n\t") == messages(XML % b"\n\t") == ["a\n\tb"] * 2


def test_bad_characters_in_names_are_replaced_as_in_values() -> None:
    """A name of JSON can be bad too."""
    assert read_body_view(b'{"a\x1b": 1}')[1] == {"a\ufffd": 1}


def test_an_error_of_cis_is_read_all_the_same() -> None:
    """It says why a submit was refused."""
    body = b"<Error><Code>InvalidArgument</Code><Message>no such file \x1b&#7;\xe9</Message></Error>"
    assert parse_error(body).message == "no such file \ufffd\ufffd\ufffd"


@pytest.mark.parametrize("name", ["utf8", "UTF8", "utf-8", "us-ascii"])
def test_names_for_utf_8_that_are_not_its_own_are_taken(name: str) -> None:
    """Libraries write `utf8`; their documents are UTF-8."""
    declared = f'<?xml version="1.0" encoding="{name}"?>'.encode() + XML % "录音".encode()
    assert messages(declared) == ["a录音b"] * 2


def test_no_job_id_is_changed_into_another() -> None:
    """An identity with a bad character is refused."""
    for body in (b'{"JobsDetail": {"JobId": "j\x1b1"}}', XML.replace(b"j1", b"j&#27;1") % b""):
        with pytest.raises(Refused) as caught:
            parse(body)
        assert caught.value.reason == "bad_job_id"
