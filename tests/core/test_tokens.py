"""Tokens: only what this service signed is believed, in the one spelling in which it was signed."""

from __future__ import annotations

import hashlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer
from pydantic import SecretStr

from app.core.tokens import (
    BadToken,
    Binding,
    CallbackKey,
    digest,
    fingerprint,
    mint,
    new_nonce,
    object_digest,
    read_token,
)
from harness.servers import ROOT

OLD = CallbackKey("old", SecretStr("an-old-secret-of-the-tests"))
NEW = CallbackKey("new", SecretStr("a-new-secret-of-the-tests"))
OTHER = CallbackKey("new", SecretStr("another-key-s-secret-123456"))

FULL = Binding(
    submission="s0123456789abcdef",
    name="console",
    bucket="songs-1250000000",
    region="ap-chongqing",
    tags=("VoiceSeparate", "Transcode"),
    objects=(object_digest("in/tune.mp3"),),
    user_data=(digest("order-42"),),
    expires=2_000_000_000,
    nonce="abc",
)
TOKEN = mint(FULL, (NEW,))


def refuses(token: str, *keys: CallbackKey) -> None:
    """Nothing in the token is believed."""
    with pytest.raises(BadToken) as caught:
        read_token(token, keys or (NEW,))
    assert len(token) < 8 or token not in str(caught.value), "the sentence does not quote the token"


def test_a_token_carries_its_binding() -> None:
    """What is minted is what is read, field for field; a token fits into one part of a URL."""
    assert read_token(TOKEN, (NEW,)) == FULL
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(TOKEN) < 400


def test_an_empty_binding_binds_nothing() -> None:
    assert read_token(mint(Binding(), (NEW,)), (NEW,)) == Binding()


def test_every_flipped_bit_is_noticed() -> None:
    """No bit of a token can be changed: not even those of the last letter that carry nothing."""
    for place, letter in enumerate(TOKEN):
        for bit in range(8):
            bent = TOKEN[:place] + chr(ord(letter) ^ (1 << bit)) + TOKEN[place + 1 :]
            refuses(bent)


def test_there_is_one_spelling() -> None:
    """Letters that Base64 readers skip make another fingerprint, so they make another token: revoked stays revoked."""
    for junk in ("=", "==", "!", "\n", " ", "\t", "%3D", ".", "\x00", "é", "\ud800"):
        for bent in (TOKEN + junk, junk + TOKEN, TOKEN[:-5] + junk + TOKEN[-5:]):
            refuses(bent)


def test_truncated_and_extended_tokens_are_refused() -> None:
    for cut in range(len(TOKEN)):
        refuses(TOKEN[:cut])
        refuses(TOKEN[cut + 1 :])
    for more in ("A", TOKEN, "." + TOKEN, "/" + TOKEN, "?x"):
        refuses(TOKEN + more)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "A" * 10_000,
        "." * 10_000,
        "ключ",
        "令牌",
        "\ud800",
        "%2e%2e",
        "null",
        "e30.",
        "\x00",
    ],
)
def test_an_invalid_token_is_refused(text: str) -> None:
    refuses(text)


@given(st.text())
def test_no_text_upsets_the_reader(text: str) -> None:
    """Any text at all is refused, and in no other way."""
    refuses(text)


def test_the_key_and_the_salt_must_be_ours() -> None:
    """A payload of ours that was signed with another secret, or for another purpose, is refused."""
    refuses(mint(FULL, (OTHER,)))
    refuses(str(URLSafeSerializer(NEW.secret, salt="other").dumps({"s": "x"})))
    refuses(str(URLSafeSerializer(NEW.secret).dumps({"s": "x"})))
    refuses(str(URLSafeTimedSerializer(NEW.secret, salt="ci-callback").dumps({"s": "x"})))


def test_keys_rotate() -> None:
    """The first key signs, all verify; a key that is gone takes its tokens with it."""
    before, after = (OLD,), (NEW, OLD)
    token = mint(FULL, before)
    assert read_token(token, after) == FULL
    refuses(mint(FULL, after), OLD)
    assert read_token(mint(FULL, after), (NEW,)) == FULL
    refuses(token, NEW)


def test_tokens_expire() -> None:
    """Until its time a token is good; after it, it still tells what it was made for, so that CI can be asked."""
    binding = read_token(mint(Binding(name="x", expires=1000), (NEW,)), (NEW,))
    assert (binding.name, binding.has_expired(1000), binding.has_expired(1000.5)) == ("x", False, True)
    assert binding.has_expired()
    assert not Binding(name="x").has_expired()
    assert not Binding(expires=int(time.time()) + 60).has_expired()


def test_tokens_of_an_earlier_release_keep_what_they_carry() -> None:
    """What the release before CALLBACK_LIFE minted reads as ever, and never expires."""
    manifest = json.loads((ROOT / "tests" / "data" / "release1" / "manifest.json").read_text())
    name, _, secret = manifest["callback_keys"].partition(":")
    assert manifest["callback_paths"]
    for path in manifest["callback_paths"].values():
        binding = read_token(path.rpartition("/")[2], (CallbackKey(name, SecretStr(secret)),))
        assert binding.submission or binding.name
        assert (binding.expires, binding.has_expired(10**12)) == (None, False)


@pytest.mark.parametrize(
    "payload",
    [[], "x", None, 1, {"e": "x"}, {"e": [1]}, {"s": ["a"]}, {"s": {"a": 1}}, {"t": "x"}, {"o": [1]}],
)
def test_a_signature_for_another_purpose_is_no_token(payload: object) -> None:
    """The key may sign other things; a payload of another shape is refused like a forged one."""
    signer = URLSafeSerializer(
        NEW.secret,
        salt="ci-callback",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
    refuses(str(signer.dumps(payload)))


def test_a_token_never_looks_like_a_dotfile() -> None:
    """However much there is to be said: many a proxy refuses a path with a dot behind a slash."""
    assert not mint(Binding(name="x" * 500, objects=("a" * 12,) * 6), (NEW,)).startswith(".")


def test_tokens_with_the_same_binding_differ_by_nonce() -> None:
    """So that one of two can be revoked."""
    one, two = (mint(Binding(name="console", nonce=new_nonce()), (NEW,)) for _ in range(2))
    assert fingerprint(one) != fingerprint(two)


def test_a_fingerprint_gives_nothing_away() -> None:
    assert len(fingerprint(TOKEN)) == 12
    assert fingerprint(TOKEN) not in TOKEN


@given(st.text(alphabet="/abc", min_size=1), st.integers(0, 3))
def test_object_keys_are_compared_without_leading_slashes(key: str, slashes: int) -> None:
    """CI writes ``/in/a.mp3`` for ``in/a.mp3`` here and there."""
    assert object_digest("/" * slashes + key) == object_digest(key)
