"""Logs: one line each, whatever a stranger wrote into it, and no secret in them."""

from __future__ import annotations

import io
import json
import logging
import re
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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What this process writes to a terminal, by the handler that every process of ours has."""
    return written_to(Terminal(), monkeypatch)


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The same, where standard error is no terminal."""
    return written_to(io.StringIO(), monkeypatch)


def written_to(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    logs.begin_about(None)  # Requests that other tests made in this thread are over.
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    logs.configure("test")
    ours, root.handlers = root.handlers, before
    root.setLevel(level)
    log.handlers = ours
    return stream


log = logging.Logger("tests.logs", logging.INFO)
"""A logger without pytest's handlers, which would send each line, even a lone surrogate, to pytest's processes."""


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


@pytest.mark.parametrize("text", UNSAFE.values(), ids=UNSAFE.keys())
def test_a_machine_gets_one_object_a_line(file: io.StringIO, text: str) -> None:
    """Message, traceback and what a handler added: in one line each, and nothing of it moves a cursor."""
    try:
        raise ValueError(f"found {text}")
    except ValueError:
        log.exception("it failed: %s", f"a{text}b", extra={"order": f"a{text}b"})
    (line,) = file.getvalue().removesuffix("\n").split("\n")
    assert line.isprintable()
    said = json.loads(line)
    assert list(said)[:5] == ["time", "level", "process", "logger", "message"]
    assert (said["level"], said["process"], said["logger"]) == ("ERROR", "test", "tests.logs")
    assert said["message"].startswith("it failed: a")
    assert said["order"].endswith("b")
    assert text not in said["message"] + said["order"]
    assert said["exception"].startswith("  Traceback (most recent call last):\n")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["time"])


def test_no_secret_is_in_a_field_of_a_handler_s(file: io.StringIO) -> None:
    """What it gives as ``extra``, as little as its message."""
    log.info("see %s", TOKEN, extra={"link": f"https://h/callbacks/{TOKEN}", "header": "Bearer ck_secret"})
    assert TOKEN not in file.getvalue()
    assert "ck_secret" not in file.getvalue()
    assert fingerprint(TOKEN) in json.loads(file.getvalue())["link"]


def test_lines_say_what_they_are_about(stream: io.StringIO) -> None:
    """Every line of a block, in text and order of the same names as in JSON."""
    with logs.about(request_id="r-1", event_id="e1", endpoint=None):
        log.info("begins", extra={"result": "done"})
    log.info("later")
    begins, later = stream.getvalue().splitlines()
    assert begins.endswith("begins request_id=r-1 event_id=e1 result=done")
    assert later.endswith("later")


def test_the_level_and_the_form_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """They win over the terminal."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = Terminal()
    logs.begin_about(None)  # Requests that other tests made in this thread are over.
    monkeypatch.setattr(sys, "stderr", stream)
    try:
        root.handlers = []
        logs.configure("test", "json", "WARNING")
        logging.getLogger("tests.level").info("quiet")
        logging.getLogger("tests.level").warning("loud")
    finally:
        root.handlers, root.level = before, level
        root.setLevel(level)
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud"]


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
