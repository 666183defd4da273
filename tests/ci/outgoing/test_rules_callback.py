"""Where a request may have CI send its callbacks."""

from typing import Any

import pytest

from app.ci.outgoing.request_file import read_xml
from app.ci.outgoing.rules.callback_rules import is_private
from tests.ci.requests import broken, request, violations

QUEUE: dict[str, Any] = {"mq_region": "sh", "mq_mode": "Queue", "mq_name": "jobs"}


@pytest.mark.parametrize(
    "url",
    [
        "no",
        "NO",
        "http://callback.demo.com",
        "https://example.com:8443/a/b?c=d&e=%E6%95%B0",
        "https://1.1.1.1/x",
        "https://[2606:4700:4700::1111]/x",
        "https://[64:ff9b::808:808]/x",
        "https://8.8.8.8",
        "https://example.com/" + "t" * 2000,
        "HTTPS://EXAMPLE.COM/",
        "https://10.0.0.1.example.com/",
    ],
)
def test_public_addresses_pass(url: str) -> None:
    """http or https, any port, any length that is reasonable."""
    assert broken(request(callback=url)) == []


@pytest.mark.parametrize(
    "url",
    [
        "yes",
        "ftp://example.com/",
        "//example.com/x",
        "https:///x",
        "https://",
        "https://exa mple.com/",
        "https://example.com/数",
        "https://example.com/a\nb",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://[::1/",
        "https://exam<ple.com/",
        "https://example.com\\@10.0.0.1/",
        "javascript:alert(1)",
    ],
)
def test_an_invalid_callback_url_is_an_error(url: str) -> None:
    """CI takes a URL or the word `no`."""
    assert violations(request(callback=url)) == {("callback", "callback")}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "[::10.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b:1::1]",
        "[2002:a00:1::]",
        "[2001:db8::1]",
        "[fec0::1]",
        "192.0.2.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "192.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "api.localhost",
        "printer.local",
        "db.internal",
        "intranet",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "user:secret@10.0.0.1",
    ],
)
def test_private_addresses_are_errors_that_can_be_let_through(host: str) -> None:
    """CI documents that it does not call private addresses; in every way in which one can be written."""
    made = request(callback=f"http://{host}:8000/x")
    assert violations(made) == {("callback", "private_callback")}
    assert broken(made.model_copy(update={"allow": ("private_callback",)})) == []


@pytest.mark.parametrize(
    "host", ["172.32.0.1", "11.0.0.1", "100.128.0.1", "192.169.0.1", "example.com", "1.example.com"]
)
def test_neighbours_of_private_addresses_are_public(host: str) -> None:
    """The edges of the private networks."""
    assert not is_private(host)


@pytest.mark.parametrize("form", ["JSON", "json", "XML", "xml", "Xml"])
def test_formats_in_any_case(form: str) -> None:
    """Sent in upper case."""
    assert broken(request(callback_format=form)) == []


def test_other_formats_and_types_are_errors() -> None:
    """Two formats, two types."""
    assert violations(request(callback_format="YAML", callback_type="Carrier")) == {
        ("callback_format", "callback_format"),
        ("callback_type", "callback_type"),
    }


@pytest.mark.parametrize("region", ["sh", "bj", "gz", "cd", "hk"])
@pytest.mark.parametrize("mode", ["Topic", "Queue", None])
def test_a_queue_needs_its_address(region: str, mode: str | None) -> None:
    """Five regions; the mode has a default."""
    config = {"mq_region": region, "mq_mode": mode, "mq_name": "jobs"}
    assert broken(request(callback_type="TDMQ", callback_mq_config=config)) == []


@pytest.mark.parametrize(
    ("config", "broken_rules"),
    [
        (None, {("mq_region", "missing"), ("mq_name", "missing")}),
        ({}, {("mq_region", "missing"), ("mq_name", "missing")}),
        (QUEUE | {"mq_region": "ap-shanghai"}, {("mq_region", "mq_region")}),
        (QUEUE | {"mq_mode": "queue"}, {("mq_mode", "mq_mode")}),
        (QUEUE | {"mq_name": ""}, {("mq_name", "missing")}),
    ],
)
def test_a_queue_without_its_address_is_an_error(config: Any, broken_rules: set[tuple[str, str]]) -> None:
    """CallBackMqConfig is required with TDMQ."""
    made = request(callback_type="TDMQ", callback_mq_config=config)
    assert violations(made) == {(f"callback_mq_config.{field}", word) for field, word in broken_rules}


@pytest.mark.parametrize("kind", ["Kafka", "kafka", "Carrier"])
def test_a_queue_as_callback_gets_no_minted_url(kind: str) -> None:
    """Let through on purpose, its news goes elsewhere: a minted URL would never be called."""
    made = request(callback_type=kind, allow=["callback_type"])
    assert (broken(made), made.callback_kind) == ([], "queue")
    assert violations(made.model_copy(update={"callback": "https://example.com/"})) == {
        ("callback", "callback_unused")
    }


@pytest.mark.parametrize("kind", [None, "", "Url", "url"])
def test_a_url_is_the_default(kind: str | None) -> None:
    """Written in any case, or not at all."""
    assert request(callback_type=kind).callback_kind == "own"


def test_a_field_without_effect_is_reported() -> None:
    """A queue's address without TDMQ, and a URL beside TDMQ."""
    assert violations(request(callback_mq_config=QUEUE)) == {("callback_mq_config", "mq_config_unused")}
    made = request(callback_type="TDMQ", callback_mq_config=QUEUE, callback="https://example.com/")
    assert violations(made) == {("callback", "callback_unused")}


@pytest.mark.parametrize("word", ["no", "NO", "No", "nO", " no", "NO\n"])
def test_no_in_any_case_is_cis_own_word(word: str) -> None:
    """The rules, the record and the XML have it in lower case, the only form that CI accepts."""
    made = request(callback=word)
    assert (broken(made), made.callback, made.callback_kind) == ([], "no", "no")
    xml = (
        b"<Request><Tag>MediaInfo</Tag><Input><Object>a.mp4</Object></Input><CallBack>%s</CallBack></Request>"
    )
    assert read_xml(xml % word.encode()).callback == "no"


@pytest.mark.parametrize("word", ["none", "n o", "off", "-"])
def test_no_other_word_is_no(word: str) -> None:
    """Any other word counts as a URL, and is an invalid one."""
    assert violations(request(callback=word)) == {("callback", "callback")}
