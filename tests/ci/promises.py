"""What holds for every body whatsoever: the oracle of the fuzz target, and of the tests for what it found."""

import json
import re

from app.ci.incoming.payload import Callback, Refused, parse, parse_answer, parse_error, read_body_view
from app.ci.incoming.refused import QUOTE_LIMIT
from app.ci.report import Report

REASONS = {
    "unsupported_media_type": 415,
    "empty_body": 400,
    "malformed_xml": 400,
    "malformed_json": 400,
    "forbidden_xml": 400,
    "too_complex": 400,
    "not_a_callback": 400,
    "bad_job_id": 400,
}


def check(body: bytes) -> None:
    """Raise AssertionError (or whatever the reader raised) if a promise is broken."""
    parse_error(body)
    try:
        parse_answer(body)
    except Refused as refused:
        assert refused.reason == "not_an_answer" or REASONS[refused.reason] == refused.status
    try:
        callback = parse(body)
    except Refused as refused:
        check_refusal(refused)
    else:
        check_callback(callback, body)


def check_refusal(refused: Refused) -> None:
    """A known reason with its status, and a sentence that is short and harmless."""
    assert REASONS[refused.reason] == refused.status
    assert "expected" in str(refused).lower()
    assert len(str(refused)) < 3 * QUOTE_LIMIT + 100
    assert str(refused).isprintable()


def check_callback(callback: Callback, body: bytes) -> None:
    """Each detail can be stored and filed, and its JSON view says the same again when it is read."""
    assert bool(callback.details) == (callback.kind != "probe")
    for detail in callback.details:
        assert re.fullmatch(r"[!-~]{1,128}", detail.report.job_id)
        assert not set(detail.report.job_id) & set("/\\%?#")
        assert detail.report.job_id not in {".", ".."}
        assert re.fullmatch(r"[0-9a-f]{32}", detail.report.digest)
        assert Report.from_json(detail.report.to_json()) == detail.report
        json.dumps(detail.raw, ensure_ascii=False, allow_nan=False).encode()
    again = json.dumps(read_body_view(body)[1]).encode()
    try:
        assert [one.report for one in parse(again).details] == [one.report for one in callback.details]
    except Refused as refused:
        # A list, which XML does not need, is one more level in JSON.
        assert refused.reason == "too_complex"
