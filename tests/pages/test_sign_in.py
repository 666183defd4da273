"""Signing in with an API key: a cookie that ends by itself and with its key, and forms that only our pages can send."""

from __future__ import annotations

import re

import pytest
import requests
from playwright.sync_api import Page, expect

from app.store.access.api_keys import key_digest
from harness.servers import Web
from tests.api.stored import put
from tests.pages.signed_in import CSRF, sign_in


def browser(web: Web, key: str | None = None) -> tuple[requests.Session, str]:
    """A signed-in session, and the CSRF token of its forms."""
    session = requests.Session()
    proof = CSRF.findall(session.get(f"{web.url}/login", timeout=60).text)[0]
    session.post(f"{web.url}/login", data={"key": key or web.key, "csrf": proof}, timeout=60)
    return session, CSRF.findall(session.get(f"{web.url}/failures", timeout=60).text)[0]


def test_without_a_key_nothing_is_shown(page: Page, web: Web) -> None:
    """Every page redirects to the sign-in; a wrong key gets an error at the field; a valid one leads on to the
    page."""
    put(web.services.store, "jsecret")
    for path in ("/", "/jobs/jsecret", "/failures", "/refusals", "/health", "/submit"):
        page.goto(f"{web.url}{path}")
        expect(page).to_have_url(re.compile(r"/login"))
        expect(page.get_by_text("jsecret")).to_have_count(0)
    page.goto(f"{web.url}/jobs/jsecret")
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#key-error")).to_contain_text("No such key")
    expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("API key").fill(web.services.store.api_keys.create("eyes", frozenset({"read"})))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{web.url}/jobs/jsecret")


def test_a_key_without_read_cannot_sign_in(page: Page, web: Web) -> None:
    """The answer names the scope."""
    page.goto(f"{web.url}/login")
    page.get_by_label("API key").fill(web.services.store.api_keys.create("s", frozenset({"submit"})))
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#key-error")).to_contain_text("scope read")


def test_the_cookie(page: Page, web: Web) -> None:
    """HttpOnly, SameSite, with an expiry and without the key. No address and no log has the key."""
    sign_in(page, web)
    cookie = next(each for each in page.context.cookies() if each["name"] == "ci_session")
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert cookie["expires"] > 0
    assert web.key not in cookie["value"]
    assert web.key not in page.url
    assert web.key not in web.web.text()


def test_a_revoked_key_ends_its_sessions(page: Page, web: Web) -> None:
    """At the next request."""
    sign_in(page, web, web.services.store.api_keys.create("leaked", frozenset({"read"})))
    web.services.store.api_keys.revoke("leaked")
    page.goto(web.url)
    expect(page.get_by_label("API key")).to_be_visible()


def test_signing_out(page: Page, web: Web) -> None:
    sign_in(page, web)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.goto(web.url)
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_code_signs_in_once(page: Page, web: Web) -> None:
    """The link of `make run`; a second browser that opens it is asked for a key."""
    code = web.services.store.sign_ins.make(key_digest(web.key))
    page.goto(f"{web.url}/login?code={code}")
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert code not in page.url
    other = requests.get(f"{web.url}/login?code={code}", timeout=60)
    assert other.status_code == 403
    assert "used already" in other.text
    assert code not in web.web.text()


@pytest.mark.parametrize("where", ["//evil.example/", "https://evil.example/", "/\\evil.example"])
def test_signing_in_leads_to_no_other_site(web: Web, where: str) -> None:
    """Whatever the address says."""
    session = requests.Session()
    proof = CSRF.findall(session.get(f"{web.url}/login", timeout=60).text)[0]
    form = {"key": web.key, "csrf": proof, "next": where}
    answer = session.post(f"{web.url}/login", data=form, timeout=60, allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    "path",
    [
        "/login",
        "/logout",
        "/jobs/act",
        "/jobs/j1/replay",
        "/failures/act",
        "/refusals/act",
        "/refusals/x/retry",
        "/submit",
    ],
)  # fmt: skip
def test_a_forged_form_does_nothing(web: Web, path: str) -> None:
    """Without a CSRF token, with a wrong one, and with that of another session."""
    put(web.services.store, "j1")
    session, _ = browser(web)
    _, others = browser(web)
    for proof in (None, "0" * 64, others):
        answer = session.post(f"{web.url}{path}", data={"csrf": proof} if proof else {}, timeout=60)
        assert answer.status_code == 403, (path, proof)
        assert "Reload the page" in answer.text
    assert len(web.services.store.jobs.history("j1")[0]) == 1


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/jobs/j1/replay", "submit"),
        ("/jobs/j1/cancel", "submit"),
        ("/jobs/j1/settle", "admin"),
        ("/failures/act", "submit"),
        ("/refusals/act", "admin"),
        ("/submit", "submit"),
    ],
)
def test_scopes_hold_on_pages_too(web: Web, path: str, scope: str) -> None:
    """A key with the scope read alone changes nothing, whatever form it sends."""
    put(web.services.store, "j1")
    session, proof = browser(web, web.services.store.api_keys.create("eyes", frozenset({"read"})))
    answer = session.post(f"{web.url}{path}", data={"csrf": proof, "action": "retry"}, timeout=60)
    assert answer.status_code == 403
    assert scope in answer.text
    for page in ("/refusals", "/submit"):
        assert session.get(f"{web.url}{page}", timeout=60).status_code == 403


def test_the_cookie_opens_no_api(web: Web) -> None:
    """/v1 takes keys alone, so no other site can use a browser's cookie there."""
    session, _ = browser(web)
    assert session.get(f"{web.url}/v1/jobs", timeout=60).status_code == 401
