"""The page that submits a job: rules at the fields, the exact request, and what it costs, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from app.settings import Settings
from app.store import Store
from harness.emulated import Emulated
from harness.servers import Emulator, Valkey, Web, eventually, free_port
from harness.settings import make_settings
from tests.pages.signed_in import CSRF, sign_in, signed_in

RIGHT = {
    "input.object": "in/talk.mp3",
    "voice_separate.audio_mode": "IsAudio",
    "voice_separate.audio_config.codec": "mp3",
    "output.au_object": "out/voice.mp3",
    "user_data": "order-42",
}
FAULT = re.compile(r'<p class="hint" id="([\w-]+)-help">[^<]*((?: ?<span class="fault">[^<]*</span>)+)')


@pytest.fixture
def ci(emulator: Emulator) -> Emulated:
    return Emulated(emulator.url)


@pytest.fixture
def settings(valkey: Valkey, ci: Emulated) -> Settings:
    return make_settings(valkey.url, ci_endpoint=ci.url, cos_bucket=ci.bucket)


@pytest.fixture(scope="module")
def shared_web(valkey: Valkey, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    settings = make_settings(valkey.url, ci_endpoint=emulator.url, cos_bucket="pages-1250000000")
    with Web(settings, free_port(), tmp_path_factory.mktemp("web"), WEB_CONCURRENCY="1") as running:
        yield running


def sent(visitor: FlaskClient, button: str = "preview", **changed: str) -> str:
    """The page that answers, after the form was filled in."""
    proof = CSRF.findall(visitor.get("/submit").text)[0]
    answer = visitor.post("/submit", data={**RIGHT, **changed, "csrf": proof, button: "yes"})
    return answer.text if answer.status_code != 303 else answer.location


def faults(page: str) -> dict[str, str]:
    """What each field says is wrong with it."""
    return {id_: unescape(re.sub("<[^>]+>", "", text)).strip() for id_, text in FAULT.findall(page)}


@pytest.mark.parametrize(
    ("changed", "field", "words"),
    [
        ({"input.object": ""}, "input-object", "is required"),
        ({"voice_separate.audio_mode": ""}, "voice_separate-audio_mode", "is required"),
        ({"output.au_object": ""}, "output-au_object", "at least one of Background, Vocals, Bass, Drums is required"),
        ({"voice_separate.audio_config.codec": "wav"}, "voice_separate-audio_config-codec", "wav is for MusicMode"),
        ({"user_data": "Größe"}, "user_data", "printable ASCII"),
        ({"output.au_object": "x" * 900}, "output-au_object", "bytes in UTF-8"),
        ({"output.au_object": "out/${what}.mp3"}, "output-au_object", "CI fills in ${ext}"),
        ({"input.object": "/in/talk.mp3"}, "input-object", "slash"),
        ({"output.bass_object": "out/bass.mp3"}, "output-bass_object", "IsAudio makes no file"),
    ],
)  # fmt: skip
def test_a_broken_rule_stands_at_its_field(
    visitor: FlaskClient, changed: dict[str, str], field: str, words: str
) -> None:
    """In the words of the form, not of the API."""
    page = sent(visitor, **changed)
    assert words in faults(page)[field]
    assert "audio_mode:" not in page
    assert "template_id" not in page


def test_every_broken_rule_is_named_at_once_and_the_first_has_the_focus(visitor: FlaskClient) -> None:
    page = sent(visitor, **dict.fromkeys(RIGHT, "") | {"user_data": "ß"})
    assert set(faults(page)) == {"input-object", "voice_separate-audio_mode", "output-au_object", "user_data"}
    assert re.findall(r'<(?:input|select) id="([\w-]+)"[^>]*autofocus', page) == ["input-object"]
    assert page.count('aria-invalid="true"') == 4


def test_nothing_is_sent_before_the_exact_request_was_shown(visitor: FlaskClient, ci: Emulated) -> None:
    """With what it costs. What was typed stays in the form."""
    page = unescape(sent(visitor))
    assert "<AuObject>out/voice.mp3</AuObject>" in page
    assert "This costs money." in page
    assert 'value="order-42"' in page
    assert ci.requests() == []


def test_a_job_that_was_sent_has_its_page(visitor: FlaskClient, store: Store, ci: Emulated) -> None:
    where = sent(visitor, "send")
    job = store.jobs.get(where.removeprefix("/jobs/"))
    assert job is not None
    assert job.user_data == "order-42"
    assert "CI has taken the job." in visitor.get(where).text
    assert ci.statuses() == [200]


def test_a_request_that_breaks_a_rule_is_never_sent(visitor: FlaskClient, ci: Emulated) -> None:
    """Whichever button was pressed."""
    assert "is required" in sent(visitor, "send", **{"input.object": ""})
    assert ci.requests() == []


def test_a_form_that_is_sent_twice_is_one_job(visitor: FlaskClient, store: Store, ci: Emulated) -> None:
    """A second click, or the browser's reload: both lead to the same job."""
    once = re.findall(r'name="once" value="(\w+)"', sent(visitor))
    assert len(once) == 1
    first, second = (sent(visitor, "send", once=once[0]) for _ in range(2))
    assert first == second
    assert first.startswith("/jobs/")
    assert ci.statuses() == [200]


def test_a_form_that_was_sent_before_is_checked_again(visitor: FlaskClient, ci: Emulated) -> None:
    """After the browser's way back, with another value: nothing is sent, and the new form is another submission."""
    (once,) = re.findall(r'name="once" value="(\w+)"', sent(visitor))
    sent(visitor, "send", once=once)
    page = sent(visitor, "send", once=once, user_data="order-43")
    assert "This form was sent before" in page
    (new,) = re.findall(r'name="once" value="(\w+)"', page)
    assert ci.statuses() == [200]
    assert sent(visitor, "send", once=new, user_data="order-43").startswith("/jobs/")
    assert ci.statuses() == [200, 200]


def test_a_spent_budget_is_said(app: Flask, visitor: FlaskClient, ci: Emulated) -> None:
    """SUBMIT_MAX_PER_DAY: how many were sent, and that this one was not."""
    app.extensions["services"].settings.__dict__["submit_max_per_day"] = 1
    assert sent(visitor, "send").startswith("/jobs/")
    page = unescape(sent(visitor, "send"))
    assert 'role="alert"' in page
    assert "SUBMIT_MAX_PER_DAY" in page
    assert ci.statuses() == [200]


def test_what_ci_refuses_is_said_in_its_words(visitor: FlaskClient, ci: Emulated) -> None:
    """The form keeps what was typed, so that it can be sent again."""
    ci.fault("error", on="submit", status=404, code="NoSuchBucket")
    page = sent(visitor, "send")
    assert 'role="alert"' in page
    assert 'value="in/talk.mp3"' in page


def test_a_key_that_may_only_read_gets_no_form(app: Flask, store: Store) -> None:
    reader = signed_in(app, store.api_keys.create("eyes", frozenset({"read"})))
    assert reader.get("/submit").status_code == 403


def _types(page: Page, text: str) -> bool:
    """Type it into the field that has the focus; whether the field then has it. A select takes letters that come late
    for the beginning of another value, so this is repeated."""
    page.keyboard.type(text)
    if page.evaluate("document.activeElement.value") == text:
        return True
    # A select that loses the focus forgets the letters.
    page.evaluate("const at = document.activeElement; at.value = ''; at.blur(); at.focus();")
    return False


def test_a_job_is_submitted_by_keyboard_alone(page: Page, web: Web) -> None:
    """From the first field to the page of the job."""
    sign_in(page, web, path="/submit")
    page.get_by_label("Recording").focus()
    for typed in ("in/a.mp3", "IsAudio", "mp3", "out/a.mp3"):
        eventually(partial(_types, page, typed), f"{typed} in its field")
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("pre")).to_contain_text("<AudioMode>IsAudio</AudioMode>")
    page.get_by_role("button", name="Send it to CI").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".message")).to_have_text("CI has taken the job.")
    expect(page).to_have_url(re.compile(f"^{re.escape(web.url)}/jobs/j"))
