"""Commands that let someone in: API keys, and callback URLs."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.tokens import fingerprint, read
from tests.cli.shell import NOT_FOUND, REFUSED, Shell
from tests.conftest import make_settings
from tests.receiver.callbacks import body
from tests.servers import Valkey


def test_keys_create_prints_the_key_and_only_that(shell: Shell, api: FlaskClient) -> None:
    """It opens the API with the scopes that were asked for, and can be taken back."""
    key = shell.run("keys", "create", "me", "--scope", "read,submit").stdout.strip()
    assert key.startswith("ck_")
    assert "\n" not in key
    head = {"Authorization": f"Bearer {key}"}
    assert api.get("/v1/jobs", headers=head).status_code == 200
    listed = shell.json("keys", "list")
    assert [(each["name"], each["scopes"]) for each in listed] == [("me", ["read", "submit"])]
    assert key not in shell.run("keys", "list").output
    shell.run("keys", "revoke", "me")
    assert api.get("/v1/jobs", headers=head).status_code == 401
    shell.run("keys", "revoke", "me", code=NOT_FOUND)


@pytest.mark.parametrize("scope", ["", "reed", "read,all", ","])
def test_keys_create_knows_its_scopes(shell: Shell, scope: str) -> None:
    result = shell.run("keys", "create", "me", "--scope", scope, code=REFUSED)
    assert result.stdout == ""
    assert "read, links, submit, admin" in result.stderr


def test_callback_url_prints_a_url_that_works(shell: Shell, api: FlaskClient) -> None:
    """And only that; with the binding that was asked for; until it is revoked, by URL or fingerprint."""
    url = shell.run(
        "callback-url", "--name", "queue", "--tag", "VoiceSeparate", "--bucket", "b-1", "--days", "2"
    ).stdout
    prefix, _, token = url.strip().rpartition("/")
    assert prefix == "https://receiver.example.com/callbacks"
    binding = read(token, shell.app.extensions["services"].settings.callback_keys)
    assert (binding.name, binding.tags, binding.bucket) == ("queue", ("VoiceSeparate",), "b-1")
    assert binding.expires
    for how in (lambda u: u, lambda u: fingerprint(u.rpartition("/")[2])):
        free = shell.run("callback-url").stdout.strip()
        path = "/callbacks/" + free.rpartition("/")[2]
        assert api.post(path, data=body()).status_code == 200
        assert shell.run("callback-url", "--revoke", how(free)).stdout == ""
        assert api.post(path, data=body()).status_code == 403
    assert shell.run("callback-url").stdout != shell.run("callback-url").stdout


def test_callback_url_needs_an_address(valkey: Valkey) -> None:
    shell = Shell(make_settings(valkey.url, public_url=None))
    assert "PUBLIC_URL" in shell.run("callback-url", code=REFUSED).stderr
