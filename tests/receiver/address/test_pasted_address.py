"""A callback URL is accepted as people paste it: a trailing blank, line end or slash is not part of the token."""

from __future__ import annotations

import pytest
import requests

from app.core.tokens import bare, fingerprint
from harness.servers import Web
from tests.receiver.callbacks import a_token, body

AFTER = [
    *("", "/", "//", "%20", "%20%20", "%0A", "%0D%0A", "%09", "/%20", "%20/", "/%0A", "%C2%A0"),
    *("?", "?a=b", "/?a=b", "%0A?a=b"),
]
NOT_AFTER = ["x", "%2E", "%2Fx", "/x", ".", "-", "%00", "%1B"]


@pytest.mark.parametrize("after", AFTER)
def test_text_after_the_token_is_not_part_of_it(web: Web, after: str) -> None:
    """The callback is accepted, and the log has the token's fingerprint."""
    token = a_token(web.settings)
    said = len(web.web.text())
    answer = requests.post(f"{web.url}/callbacks/{token}{after}", data=body(JobId="j1"), timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][0]["job_id"] == "j1"
    assert f'"token":"{fingerprint(token)}"' in web.web.text()[said:]


@pytest.mark.parametrize("after", AFTER)
def test_a_token_is_revoked_in_every_spelling(web: Web, after: str) -> None:
    """A further slash does not evade a revocation."""
    token = a_token(web.settings)
    web.services.store.refusals.revoke(fingerprint(token))
    answer = requests.post(f"{web.url}/callbacks/{token}{after}", data=body(JobId="j1"), timeout=30)
    assert (answer.status_code, answer.json()["reason"]) == (403, "revoked_token")


@pytest.mark.parametrize("after", NOT_AFTER)
def test_anything_else_is_another_token(web: Web, after: str) -> None:
    """Only invisible characters and slashes are ignored."""
    answer = requests.post(f"{web.url}/callbacks/{a_token(web.settings)}{after}", data=body(), timeout=30)
    assert (answer.status_code, answer.json()["reason"]) == (403, "bad_token")


@pytest.mark.parametrize("after", ["/", " ", "\n", "\r\n", "\t", "\xa0", "\u200b", "\ufeff", " / \n"])
def test_the_command_that_revokes_a_url_reads_the_same_token(after: str) -> None:
    """It removes what a paste has added."""
    assert bare(f"https://hooks.example.com/callbacks/a.b-c_d{after}").endswith("/a.b-c_d")
