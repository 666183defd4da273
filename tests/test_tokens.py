"""Tokens: only what this service signed is believed, in the one spelling in which it was signed."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer
from pydantic import SecretStr

from app.settings import CallbackKey
from app.tokens import BadToken, Binding, digest, fingerprint, mint, new_nonce, object_digest, read

OLD = CallbackKey("old", SecretStr("an-old-secret-of-the-tests"))
NEW = CallbackKey("new", SecretStr("a-new-secret-of-the-tests"))
OTHER = CallbackKey("new", SecretStr("somebody-else-s-secret-123"))

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


def refuses(token: str, *keys: CallbackKey) -> str:
    """The reason why the token is not believed."""
    with pytest.raises(BadToken) as caught:
        read(token, keys or (NEW,))
    assert len(token) < 8 or token not in str(caught.value), "the sentence does not quote the token"
    return caught.value.reason


def test_a_token_carries_its_binding() -> None:
    """What is minted is what is read, field for field; a token fits into one part of a URL."""
    assert read(TOKEN, (NEW,)) == FULL
    assert set(TOKEN) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert len(TOKEN) < 400


def test_an_empty_binding_binds_nothing() -> None:
    assert read(mint(Binding(), (NEW,)), (NEW,)) == Binding()


def test_every_flipped_bit_is_noticed() -> None:
    """No bit of a token can be changed: not even those of the last letter that carry nothing."""
    for place, letter in enumerate(TOKEN):
        for bit in range(8):
            bent = TOKEN[:place] + chr(ord(letter) ^ (1 << bit)) + TOKEN[place + 1 :]
            assert refuses(bent) == "bad_token"


def test_there_is_one_spelling() -> None:
    """Letters that Base64 readers skip make another fingerprint, so they make another token: revoked stays revoked."""
    for junk in ("=", "==", "!", "\n", " ", "\t", "%3D", ".", "\x00", "é", "\ud800"):
        for bent in (TOKEN + junk, junk + TOKEN, TOKEN[:-5] + junk + TOKEN[-5:]):
            assert refuses(bent) == "bad_token"


def test_truncated_and_extended_tokens_are_refused() -> None:
    for cut in range(len(TOKEN)):
        assert refuses(TOKEN[:cut]) == "bad_token"
        assert refuses(TOKEN[cut + 1 :]) == "bad_token"
    for more in ("A", TOKEN, "." + TOKEN, "/" + TOKEN, "?x"):
        assert refuses(TOKEN + more) == "bad_token"


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
def test_what_is_no_token_is_refused(text: str) -> None:
    assert refuses(text) == "bad_token"


@given(st.text())
def test_no_text_upsets_the_reader(text: str) -> None:
    """Any text at all is refused, and in no other way."""
    assert refuses(text) == "bad_token"


def test_the_key_and_the_salt_must_be_ours() -> None:
    """A payload of ours that was signed with another secret, or for another purpose, is nobody's."""
    assert refuses(mint(FULL, (OTHER,))) == "bad_token"
    assert refuses(str(URLSafeSerializer(NEW.secret, salt="other").dumps({"s": "x"}))) == "bad_token"
    assert refuses(str(URLSafeSerializer(NEW.secret).dumps({"s": "x"}))) == "bad_token"
    assert (
        refuses(str(URLSafeTimedSerializer(NEW.secret, salt="ci-callback").dumps({"s": "x"}))) == "bad_token"
    )


def test_keys_rotate() -> None:
    """The first key signs, all verify; a key that is gone takes its tokens with it."""
    before, after = (OLD,), (NEW, OLD)
    token = mint(FULL, before)
    assert read(token, after) == FULL
    assert refuses(mint(FULL, after), OLD) == "bad_token"
    assert read(mint(FULL, after), (NEW,)) == FULL
    assert refuses(token, NEW) == "bad_token"


def test_tokens_expire() -> None:
    """Until its time a token is good; then it says so, and only to whoever holds a good one."""
    token = mint(Binding(name="x", expires=1000), (NEW,))
    assert read(token, (NEW,), now=1000).name == "x"
    with pytest.raises(BadToken) as caught:
        read(token, (NEW,), now=1000.5)
    assert caught.value.reason == "expired_token"
    assert refuses(mint(Binding(name="x", expires=int(time.time()) - 1), (NEW,))) == "expired_token"
    assert refuses(token[:-1] + "A") == "bad_token"


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
