"""JSON made to exhaust the parser, or that Python's parser accepts although it should not."""

import json
import time

import pytest

from app.ci.incoming import limits
from app.ci.incoming.payload import Refused, parse


def refusal(body: bytes) -> tuple[str, int]:
    with pytest.raises(Refused) as caught:
        parse(body)
    return caught.value.reason, caught.value.status


def job(inner: str) -> bytes:
    return f'{{"JobsDetail": {{"JobId": "j1", {inner}}}}}'.encode()


def read(inner: str) -> dict[str, object]:
    return parse(job(inner)).details[0].raw


BROKEN = {
    "cut off": b'{"JobsDetail": {"JobId": "j1"}',
    "a comma too many": b'{"JobsDetail": {"JobId": "j1",}}',
    "single quotes": b"{'JobsDetail': {}}",
    "text after": b"{} {}",
    "NaN": job('"a": NaN'),
    "Infinity": job('"a": Infinity'),
    "minus Infinity": job('"a": [-Infinity]'),
    "a number with a leading zero": job('"a": 01'),
    "a name without quotes": b"{a: 1}",
    "NUL after": b"{}\0",
    "half an escape": b'{"a": "\\ud8"}',
    "a control character outside of strings": b'{"a": 1\x1b}',
    "UTF-7": '{"a": "ü"}'.encode("utf-7")[:-1],
    "just a brace": b"{",
    "just a bracket": b"[",
    "a mark inside": b'{\xef\xbb\xbf"a": 1}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_broken_json_is_refused(body: bytes) -> None:
    """400 malformed_json, with the position."""
    assert refusal(body) == ("malformed_json", 400)


@pytest.mark.parametrize(
    "body", [b"hello", b"null", b"7", b'"x"', b"\0{}", b"a=b&c=d", b"\x1f\x8b\x08", b"\x0c{}", b"\xfe"]
)
def test_another_first_byte_is_an_unsupported_media_type(body: bytes) -> None:
    """415: the first byte decides."""
    assert refusal(body) == ("unsupported_media_type", 415)


TOO_MUCH = {
    "arrays 100,000 deep": b"[" * 100_000,
    "arrays 100,000 deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000,
    "objects 100,000 deep and closed": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "one too deep": job('"a": ' + "[" * (limits.CALLBACK.depth - 1) + "]" * (limits.CALLBACK.depth - 1)),
    "too many scalars": job('"a": [' + "0," * limits.CALLBACK.nodes + "0]"),
    "too many arrays": job('"a": [' + "[]," * limits.CALLBACK.nodes + "0]"),
    "too many objects": job('"a": [' + "{}," * limits.CALLBACK.nodes + "0]"),
    "too many jobs": json.dumps(
        {"JobsDetail": [{"JobId": f"j{n}"} for n in range(limits.CALLBACK.details + 1)]}
    ).encode(),
}


@pytest.mark.parametrize("body", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_too_much_structure_is_refused(body: bytes) -> None:
    """400 too_complex, after little CPU time."""
    started = time.thread_time()
    assert refusal(body) == ("too_complex", 400)
    assert time.thread_time() - started < 5


def test_just_enough_structure_is_read() -> None:
    """A body at the caps is accepted; brackets and commas in a string do not count."""
    levels = limits.CALLBACK.depth - 2
    assert parse(job('"a": ' + "[" * levels + "]" * levels)).kind == "jobs"
    assert parse(job('"a": "' + "[{," * limits.CALLBACK.nodes + '"')).kind == "jobs"


SLOW = {
    "one long string": '"a": "' + "x" * 10**6 + '"',
    "one long name": '"' + "x" * 10**6 + '": 1',
    "one long integer": '"a": ' + "1" * 10**6,
    "one long fraction": '"a": 0.' + "1" * 10**6,
    "a huge exponent": '"a": [1e999999999999, -1e-999999999999]',
    "many integers of 5,000 digits": '"a": [' + ",".join(["9" * 5_000] * 200) + "]",
    "escapes": '"a": "' + "\\\\" * 400_000 + '"',
    "surrogates": '"a": "' + "\\ud800" * 150_000 + '"',
    "one name many times": ",".join(['"a": 0'] * 40_000),
}


@pytest.mark.parametrize("inner", SLOW.values(), ids=SLOW.keys())
def test_a_megabyte_of_anything_takes_little_time(inner: str) -> None:
    """No part of the reader is quadratic, and a long number raises no error."""
    started = time.thread_time()
    raw = read(inner)
    assert time.thread_time() - started < 5
    json.dumps(raw, ensure_ascii=False, allow_nan=False).encode()


NUMBERS = [
    ("0", 0),
    ("-1", -1),
    ("999999999999999", 999999999999999),
    ("9007199254740993", "9007199254740993"),
    ("1" * 10_000, "1" * 10_000),
    ("-0", "-0"),
    ("0.5", 0.5),
    ("128.147000", "128.147000"),
    ("1E5", "1E5"),
    ("1e400", "1e400"),
    ("0.10000000000000000000001", "0.10000000000000000000001"),
]


@pytest.mark.parametrize(("written", "kept"), NUMBERS)
def test_a_number_that_would_come_out_otherwise_is_kept_as_text(written: str, kept: object) -> None:
    """Every digit that CI sent, and no infinity."""
    assert read(f'"a": {written}')["a"] == kept


ESCAPES = [
    (r"\ud800", "\ufffd"),
    (r"\uDFFF", "\ufffd"),
    (r"a\ud83d", "a\ufffd"),
    (r"\udc00\ud800", "\ufffd\ufffd"),
    (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
    (r"\ud83d\ude00", "\U0001f600"),
    (r"\uD83D\uDE00", "\U0001f600"),
    (r"\\ud800", r"\ud800"),
    (r"\\\ud800", "\\\ufffd"),
    (r"\ud800\\udc00", "\ufffd\\udc00"),
    (r"\u0000", "\ufffd"),
    (r"a\u001Bb\b\f", "a\ufffdb\ufffd\ufffd"),
    (r"\uFFFE\uffff\ufffd", "\ufffd\ufffd\ufffd"),
    (r"\\u001b\\b", r"\u001b\b"),
    (r"\t\n\r\u0009\u000a\u000D", "\t\n\r\t\n\r"),
]


@pytest.mark.parametrize(("written", "kept"), ESCAPES)
def test_escapes_of_bad_characters_become_the_replacement_character(written: str, kept: str) -> None:
    """Lone surrogates, which UTF-8 cannot hold, and what XML cannot; pairs and escaped backslashes are left alone."""
    raw = read(f'"a": "{written}", "{written}": 1')
    assert raw["a"] == kept
    assert raw[kept] == 1
    json.dumps(raw, ensure_ascii=False).encode()


def test_a_name_given_twice_is_a_list() -> None:
    """As in XML; also if two names become equal when their bad characters are replaced."""
    assert read('"a": 1, "b": 2, "a": {"c": 3}') == {"JobId": "j1", "a": [1, {"c": 3}], "b": 2}
    assert read('"a": [1, 2], "a": 3') == {"JobId": "j1", "a": [1, 2, 3]}
    assert read(r'"\ud800": 1, "\ud801": 2') == {"JobId": "j1", "\ufffd": [1, 2]}


def test_a_state_given_twice_is_none() -> None:
    """Neither is believed; raw has both."""
    detail = parse(job('"State": "Success", "State": "Failed"')).details[0]
    assert detail.report.state is None
    assert detail.raw["State"] == ["Success", "Failed"]


def test_python_names_mean_nothing() -> None:
    """Names that Python treats specially are names like others."""
    raw = read('"__class__": {"__init__": 1}, "__proto__": 2, "": 3')
    assert raw == {"JobId": "j1", "__class__": {"__init__": 1}, "__proto__": 2, "": 3}
