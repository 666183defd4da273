"""Signing in, in a browser or with Flask's test client."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from harness.servers import Web

CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def signed_in(app: Flask, key: str) -> FlaskClient:
    """Flask's test client with a session of this key."""
    client = app.test_client()
    client.post("/login", data={"key": key, "csrf": CSRF.findall(client.get("/login").text)[0]})
    return client


def sign_in(page: Page, web: Web, key: str | None = None, path: str = "/") -> None:
    """At the end the page is loaded whole."""
    page.goto(f"{web.url}{path}")
    page.get_by_label("API key").fill(key or web.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    # The button stands at the top: what follows may not be parsed yet.
    page.wait_for_load_state()
