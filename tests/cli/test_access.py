"""Commands that let someone in: API keys, and callback URLs."""

from __future__ import annotations

import time
from unicodedata import east_asian_width

import pytest
from flask.testing import FlaskClient

from app.core.clock import now_ms, to_ms
from app.core.tokens import Binding, fingerprint, mint, read_token
from harness.downstream import Downstream
from harness.servers import Emulator, Valkey, eventually
from harness.settings import make_settings
from tests.cli.shell import NOT_FOUND, REFUSED, Shell
from tests.receiver.callbacks import body


def test_keys_create_prints_the_key_and_only_that(shell: Shell, api: FlaskClient) -> None:
    """The key has the requested scopes, and can be revoked."""
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
    """A name in use is refused and its key stays valid; with --replace the new key replaces it."""
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


@pytest.mark.parametrize("name", ["", " ", "\t", " ops", "ops\x1b[2J", "o\np", "x" * 65])
def test_keys_create_refuses_unreadable_names(shell: Shell, name: str) -> None:
    """A blank name cannot be revoked from the list; control characters forge lines of it."""
    refused = shell.run("keys", "create", name, code=REFUSED)
    assert refused.stdout == ""
    assert "1 to 64 printable characters" in refused.stderr
    assert shell.json("keys", "list") == []


@pytest.mark.parametrize("name", ["o", "x" * 64, "店铺 7", "a;b"])
def test_keys_create_accepts_printable_names(shell: Shell, name: str) -> None:
    """From one character to 64."""
    shell.run("keys", "create", name)
    assert [each["name"] for each in shell.json("keys", "list")] == [name]


@pytest.mark.parametrize("scope", ["", "reed", "read,all", ","])
def test_keys_create_refuses_unknown_scopes(shell: Shell, scope: str) -> None:
    result = shell.run("keys", "create", "me", "--scope", scope, code=REFUSED)
    assert result.stdout == ""
    assert "read, links, submit, admin" in result.stderr


def test_callback_url_prints_a_url_that_works(shell: Shell, api: FlaskClient) -> None:
    """And nothing else; the URL has the requested binding, and can be revoked by itself or by its fingerprint."""
    url = shell.run(
        "callback-url", "--name", "queue", "--tag", "VoiceSeparate", "--bucket", "b-1", "--days", "2"
    ).stdout
    prefix, _, token = url.strip().rpartition("/")
    assert prefix == "https://receiver.example.com/callbacks"
    binding = read_token(token, shell.app.extensions["services"].settings.callback_keys)
    assert (binding.name, binding.tags, binding.bucket) == ("queue", ("VoiceSeparate",), "b-1")
    assert binding.expires
    for how in (lambda u: u, lambda u: fingerprint(u.rpartition("/")[2])):
        free = shell.run("callback-url").stdout.strip()
        path = "/callbacks/" + free.rpartition("/")[2]
        assert api.post(path, data=body()).status_code == 200
        assert shell.run("callback-url", "--revoke", how(free)).stdout == ""
        assert api.post(path, data=body()).status_code == 403
    assert shell.run("callback-url").stdout != shell.run("callback-url").stdout


@pytest.mark.parametrize("pasted", ["{}", " {}\n", "{}/", "{}?a=b", "{}#x"])
def test_a_url_is_revoked_as_people_paste_it(shell: Shell, api: FlaskClient, pasted: str) -> None:
    url = shell.run("callback-url").stdout.strip()
    shell.run("callback-url", "--revoke", pasted.format(url))
    assert api.post("/callbacks/" + url.rpartition("/")[2], data=body()).status_code == 403


@pytest.mark.parametrize("text", ["x", "console", "https://receiver.example.com/callbacks/x", "0123456789AB"])
def test_a_foreign_url_is_not_revoked(shell: Shell, text: str) -> None:
    """A URL that was truncated while copying would otherwise silently stay valid."""
    assert "nothing is revoked" in shell.run("callback-url", "--revoke", text, code=REFUSED).stderr
    assert not shell.store.db.client.exists(shell.store.db.key("revoked"))


def test_callback_url_list_shows_every_url(shell: Shell) -> None:
    """With its binding, when it was made and used, and how it ends; neither the URL nor its token."""
    assert "No callback URLs" in shell.run("callback-url", "list").stdout
    assert shell.json("callback-url", "list") == []
    made = {}
    for name, *more in (
        ("plain",),
        ("queue", "--tag", "VoiceSeparate", "--tag", "Transcode", "--bucket", "b-1", "--days", "3"),
        ("gone",),
    ):
        url = shell.run("callback-url", "--name", name, *more).stdout.strip()
        made[name] = fingerprint(url.rpartition("/")[2])
    shell.run("callback-url", "--revoke", made["gone"])
    used = shell.store.db.key("url", made["plain"])
    shell.store.db.client.hset(used, "used", to_ms("2026-03-04T05:06:07Z"))

    listed = {each["name"]: each for each in shell.json("callback-url", "list")}
    assert {name: each["fingerprint"] for name, each in listed.items()} == made
    assert (listed["queue"]["tags"], listed["queue"]["bucket"]) == (["VoiceSeparate", "Transcode"], "b-1")
    assert listed["plain"]["last_used_at"] == "2026-03-04T05:06:07.000Z"
    assert [listed[name]["revoked"] for name in ("plain", "queue", "gone")] == [False, False, True]
    assert [bool(listed[name]["expires_at"]) for name in ("plain", "queue", "gone")] == [False, True, False]
    left = (to_ms(listed["queue"]["expires_at"]) or 0) - (to_ms(listed["queue"]["created_at"]) or 0)
    assert 2 * 86_400_000 < left <= 3 * 86_400_000

    lines = shell.run("callback-url", "list").stdout.splitlines()
    row = {name: next(line for line in lines if line.startswith(name)) for name in made}
    assert "2026-03-04" in row["plain"]
    assert row["plain"].endswith("never")
    assert listed["queue"]["expires_at"][:10] in row["queue"]
    assert row["gone"].endswith("revoked")
    assert "  takes VoiceSeparate, Transcode in b-1" in lines
    assert not any("/callbacks/" in line for line in lines)


def test_the_use_of_a_url_is_listed(shell: Shell, api: FlaskClient) -> None:
    """Also of one that is not listed before its first use; a submission's URL is in no list."""
    keys, began = shell.app.extensions["services"].settings.callback_keys, now_ms()
    listed = shell.run("callback-url", "--name", "listed", "--days", "30").stdout.strip().rpartition("/")[2]
    older = mint(Binding(name="older", tags=("VoiceSeparate",), bucket="demo-1250000000"), keys)
    own = mint(Binding(submission="s0123456789abcdef"), keys)
    (entry,) = shell.json("callback-url", "list")
    assert entry["last_used_at"] is None
    for token in (listed, older, own):
        detail = body(JobId=f"j{fingerprint(token)}", Input={"BucketId": "demo-1250000000"})
        assert api.post(f"/callbacks/{token}", data=detail).status_code == 200
    urls = {each["name"]: each for each in shell.json("callback-url", "list")}
    assert urls.keys() == {"listed", "older"}
    assert urls["listed"] == entry | {"last_used_at": urls["listed"]["last_used_at"]}
    assert (urls["older"]["tags"], urls["older"]["bucket"]) == (["VoiceSeparate"], "demo-1250000000")
    for each in urls.values():
        assert (to_ms(each["last_used_at"]) or 0) >= began
    assert (to_ms(urls["older"]["created_at"]) or 0) >= began


def test_callback_url_list_keeps_within_80_columns(shell: Shell) -> None:
    """Whatever names, tags and buckets hold: Chinese characters take two columns; control characters are escaped."""
    for name, tag, bucket in (
        ("n" * 64, "T" * 70, "b" * 70),
        ("录音队列" * 16, "标签" * 40, "桶"),
        ("short", "A\x1b[31m", "b-1"),
    ):
        shell.run("callback-url", "--name", name, "--tag", tag, "--bucket", bucket, "--days", "9999")
    lines = shell.run("callback-url", "list").stdout.splitlines()
    assert len(lines) == 7
    for line in lines:
        assert sum(1 + (east_asian_width(letter) in "WF") for letter in line) <= 80
        assert line.isprintable()


@pytest.mark.parametrize("name", ["", " ", "n" * 65, "two\nlines", "\x1b[31m"])
def test_a_name_is_short_and_printable(shell: Shell, name: str) -> None:
    assert "printable" in shell.run("callback-url", "--name", name, code=2).stderr


def test_a_url_is_made_while_redis_is_away() -> None:
    """It is valid without Redis, so it is printed; standard error says that it is not listed yet."""
    shell = Shell(make_settings("redis://127.0.0.1:9/0", redis_timeout="0.3"))
    result = shell.run("callback-url")
    assert result.stdout.startswith("https://receiver.example.com/callbacks/")
    assert result.stdout.count("\n") == 1
    assert "flask callback-url list" in result.stderr


def test_the_url_of_a_trigger_is_valid_for_an_hour(valkey: Valkey, emulator: Emulator) -> None:
    """It does not stay valid or listed after a test."""
    with Downstream() as there:
        shell = Shell(make_settings(valkey.url, ci_endpoint=emulator.url, public_url=there.url))
        began = time.time()
        shell.run("trigger", "VoiceSeparate")
        eventually(lambda: there.unverified, "the callback")
    token = there.unverified[0].partition(":")[0].rpartition("/")[2]
    binding = read_token(token, shell.app.extensions["services"].settings.callback_keys)
    assert binding.expires
    assert began - 1 <= binding.expires - 3600 <= time.time() + 1


def test_callback_url_needs_an_address(valkey: Valkey) -> None:
    shell = Shell(make_settings(valkey.url, public_url=None))
    assert "PUBLIC_URL" in shell.run("callback-url", code=REFUSED).stderr
