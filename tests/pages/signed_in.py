"""Signing a browser in, as a person does."""

from playwright.sync_api import Page, expect

from harness.servers import Web


def sign_in(page: Page, web: Web, key: str | None = None, path: str = "/") -> None:
    page.goto(f"{web.url}{path}")
    page.get_by_label("API key").fill(key or web.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
