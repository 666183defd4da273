"""Logs: one line each, whatever a stranger wrote into it, and no secret in them."""

from __future__ import annotations

import io
import logging
import sys

import pytest
from flask import Flask
from pydantic import SecretStr

from app.core import logs
from app.core.tokens import Binding, CallbackKey, fingerprint, mint
from app.web import access_log

TOKEN = mint(
    Binding(submission="s-0123456789"), [CallbackKey("k1", SecretStr("0123456789abcdef0123456789abcdef"))]
)

UNSAFE = {
    "a line end": "\n2026-01-01T00:00:00Z web INFO forged: line",
    "a carriage return": "\rforged",
    "ESC": "\x1b[2J\x1b]0;title\x07",
    "C1": "\x9b31m\x85",
    "bidi overrides": "\u202egnp.exe\u202c\u2066x\u2069",
    "separators": "\u2028\u2029",
    "NUL": "\0",
    "a lone surrogate": "\ud800",
}


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What this process writes to standard error, by the handler that every process of ours has."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    logs.configure("test")
    ours, root.handlers = root.handlers, before
    root.setLevel(level)
    logger = logging.getLogger("tests.logs")
    logger.handlers, logger.propagate = ours, False
    logger.setLevel(logging.INFO)
    return stream


log = logging.getLogger("tests.logs")


@pytest.mark.parametrize("text", UNSAFE.values(), ids=UNSAFE.keys())
def test_control_characters_stay_on_their_line(stream: io.StringIO, text: str) -> None:
    """They are spelled out, in the message and in its arguments."""
    log.info("job %s has ended", f"a{text}b")
    log.info(f"job a{text}b has ended")
    lines = stream.getvalue().split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    assert text not in stream.getvalue()
    assert lines[0].endswith("b has ended")


def test_ordinary_text_is_left_alone(stream: io.StringIO) -> None:
    """In any language."""
    log.info("录音 café %s", "ready ✓")
    assert stream.getvalue().rstrip("\n").endswith("录音 café ready ✓")


@pytest.mark.parametrize("text", UNSAFE.values(), ids=UNSAFE.keys())
def test_a_traceback_has_its_own_line_ends_and_nothing_else(stream: io.StringIO, text: str) -> None:
    """What an exception quotes cannot begin a line as a line of ours does."""
    try:
        raise ValueError(f"found {text}")
    except ValueError:
        log.exception("it failed")
    first, *rest = stream.getvalue().rstrip("\n").split("\n")
    assert first.endswith("it failed")
    assert rest[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") and line.isprintable() for line in rest)


def test_a_long_message_is_cut(stream: io.StringIO) -> None:
    """Its beginning says what happened."""
    log.info("x" * 10**6)
    assert len(stream.getvalue()) < logs.MESSAGE_MAX + 200


@pytest.mark.parametrize(
    "text",
    ["/callbacks/{}", "see {}", "({})", "https://h/callbacks/{}?x=1", "'{}'", "a {} b {}", "_{}".strip("_")],
)
def test_a_token_is_redacted_wherever_it_stands(text: str) -> None:
    """By its fingerprint, also at the end of a long text."""
    for filling in ("", "A" * 100_000 + " "):
        said = logs.redact(filling + text.replace("{}", TOKEN))
        assert TOKEN not in said
        assert TOKEN.rpartition(".")[2] not in said
        assert fingerprint(TOKEN) in said


def test_the_access_line_holds_no_text_of_a_caller(caplog: pytest.LogCaptureFixture) -> None:
    """It is not searched for secrets: neither path, query nor a made-up method may get into it."""
    app = Flask(__name__)
    logs.redact_libraries()
    access_log.init_app(app)
    with caplog.at_level(logging.INFO, "access"):
        app.test_client().open(f"/callbacks/{TOKEN}?key={TOKEN}", method=TOKEN.upper())
    (line,) = [record.getMessage() for record in caplog.records if record.name == "access"]
    assert line.startswith("(unknown method) (no route) 404 ")
    assert TOKEN.upper() not in line.upper()
