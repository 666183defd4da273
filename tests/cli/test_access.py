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


def test_keys_create_replaces_nothing_unasked(shell: Shell, api: FlaskClient) -> None:
    """A name that is taken is refused, and the old key goes on working; with --replace the new one takes its place."""
    old = shell.run("keys", "create", "ops", "--scope", "read,submit").stdout.strip()
    refused = shell.run("keys", "create", "ops", code=REFUSED)
    assert refused.stdout == ""
    assert "keys revoke ops" in refused.stderr and "--replace" in refused.stderr

    def opens(key: str) -> bool:
        return api.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200

    assert opens(old)
    assert [each["scopes"] for each in shell.json("keys", "list")] == [["read", "submit"]]
    new = shell.run("keys", "create", "ops", "--replace").stdout.strip()
    assert (opens(old), opens(new)) == (False, True)
    assert [each["scopes"] for each in shell.json("keys", "list")] == [["read"]]


@pytest.mark.parametrize("name", ["", " ", "\t", " ops", "ops\x1b[2J", "o\np"])
def test_keys_create_knows_names(shell: Shell, name: str) -> None:
    """A blank one could not be revoked by anybody who reads the list; one with control characters forges its lines."""
    assert shell.run("keys", "create", name, code=REFUSED).stdout == ""
    assert shell.json("keys", "list") == []


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
