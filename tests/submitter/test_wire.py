"""What the emulator really received, against an independent computation of the XML and of the signature.

Nothing here uses our renderer, Tencent's SDK or the emulator's own check: the nodes are written out, and the signature
is computed from the published recipe (COS "Request Signature", which CI shares) with the standard library.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest

from app.core.tokens import read_token
from app.provider import RequestRejected
from app.services import Services
from app.submitter import SubmitRequest, Submitter
from harness.emulated import Emulated
from tests.submitter.conftest import REQUEST

SECRET = b"emulator"


def nodes(xml: str) -> list[tuple[str, str]]:
    """Every leaf of the request, in order, as (path, text)."""
    found: list[tuple[str, str]] = []

    def walk(node: ET.Element, path: str) -> None:
        if not len(node):
            found.append((path, node.text or ""))
        for child in node:
            walk(child, f"{path}/{child.tag}")

    root = ET.fromstring(xml)  # noqa: S314 - our own request
    assert root.tag == "Request"
    for child in root:
        walk(child, child.tag)
    return found


def signature(request: dict[str, Any], claim: dict[str, str]) -> str:
    """The signature that this request has to have, from the recipe, for the key time and the lists it names."""

    def listed(values: list[tuple[str, str]], names: str) -> str:
        wanted = names.split(";") if names else []
        mine = {quote(name, safe="-_.~").lower(): value for name, value in values}
        return "&".join(f"{name}={quote(mine[name], safe='-_.~')}" for name in wanted)

    target = urlsplit(request["full"]["target"])
    parameters = listed(parse_qsl(target.query, keep_blank_values=True), claim["q-url-param-list"])
    headers = listed([tuple(pair) for pair in request["full"]["headers"]], claim["q-header-list"])
    text = f"{request['method'].lower()}\n{unquote(target.path)}\n{parameters}\n{headers}\n"
    key = hmac.new(SECRET, claim["q-key-time"].encode(), "sha1").hexdigest()
    to_sign = f"sha1\n{claim['q-sign-time']}\n{hashlib.sha1(text.encode()).hexdigest()}\n"  # noqa: S324
    return hmac.new(key.encode(), to_sign.encode(), "sha1").hexdigest()


def header(request: dict[str, Any], name: str) -> str:
    found: list[str] = [value for key, value in request["full"]["headers"] if key.lower() == name.lower()]
    return found[0]


WHOLE = {
    "tag": "VoiceSeparate",
    "input": {"object": "in/ä b&c<d>.mp3"},
    "voice_separate": {
        "audio_mode": "MusicMode",
        "audio_config": {"codec": "mp3"},
    },
    "output": {
        "object": "o/bg.${ext}",
        "au_object": "o/${jobid}/voice.${ext}",
        "bass_object": "o/bass.${ext}",
        "drum_object": "o/drum.${ext}",
    },
    "user_data": "a<b>&\"c' 100%",
    "job_level": 2,
    "callback_format": "xml",
    "labels": {"order": "1"},
}


def test_every_field_is_the_node_that_ci_documents(
    submitter: Submitter, ci: Emulated, services: Services
) -> None:
    """Names, nesting and text, and no other node; labels are not sent; the callback URL is this submission's own."""
    receipt = submitter.submit(SubmitRequest.model_validate(WHOLE))
    (request,) = ci.requests()
    found = nodes(request["full"]["body"])
    callback = dict(found)["CallBack"]
    assert sorted(found) == sorted(
        [
            ("Tag", "VoiceSeparate"),
            ("Input/Object", "in/ä b&c<d>.mp3"),
            ("Operation/VoiceSeparate/AudioMode", "MusicMode"),
            ("Operation/VoiceSeparate/AudioConfig/Codec", "mp3"),
            ("Operation/Output/Region", "ap-chongqing"),
            ("Operation/Output/Bucket", ci.bucket),
            ("Operation/Output/Object", "o/bg.${ext}"),
            ("Operation/Output/AuObject", "o/${jobid}/voice.${ext}"),
            ("Operation/Output/BassObject", "o/bass.${ext}"),
            ("Operation/Output/DrumObject", "o/drum.${ext}"),
            ("Operation/UserData", "a<b>&\"c' 100%"),
            ("Operation/JobLevel", "2"),
            ("CallBack", callback),
            ("CallBackFormat", "XML"),
        ]
    )
    binding = read_token(callback.rpartition("/")[2], services.settings.callback_keys)
    assert (binding.submission, binding.bucket) == (receipt.submission, ci.bucket)


def test_an_omitted_field_is_not_sent(submitter: Submitter, ci: Emulated) -> None:
    """No empty nodes: an absent field is CI's default, an empty one may be an error."""
    submitter.submit(REQUEST)
    found = dict(nodes(ci.requests()[0]["full"]["body"]))
    assert set(found) == {
        "Tag",
        "Input/Object",
        "Operation/VoiceSeparate/AudioMode",
        "Operation/VoiceSeparate/AudioConfig/Codec",
        "Operation/Output/Region",
        "Operation/Output/Bucket",
        "Operation/Output/AuObject",
        "Operation/UserData",
        "CallBack",
        "CallBackFormat",
    }
    assert all(found.values())


def claim_of(authorization: str) -> dict[str, str]:
    """The parts of an Authorization header; the lists may be empty."""
    return dict(part.partition("=")[::2] for part in authorization.split("&"))


def ask(services: Services, ci: Emulated, endpoint: str) -> None:
    job_id = Submitter(services).submit(REQUEST).job_ids[0]
    place = (ci.bucket, "ap-chongqing")
    provider = services.provider
    if endpoint == "list":
        provider.list_jobs(*place, "VoiceSeparate", input_object="in/ä b.mp3")
    elif endpoint == "describe":
        provider.describe(*place, [job_id])
    elif endpoint == "queues":
        provider.queues(*place)


@pytest.mark.parametrize("endpoint", ["submit", "list", "describe", "queues"])
def test_the_signature_is_the_published_one(endpoint: str, services: Services, ci: Emulated) -> None:
    """Computed from the request as it was received; the host is signed too."""
    ask(services, ci, endpoint)
    request = ci.requests(endpoint)[-1]
    claim = claim_of(header(request, "Authorization"))
    assert claim["q-ak"] == "emulator"
    assert claim["q-signature"] == signature(request, claim)
    assert "host" in claim["q-header-list"].split(";")
    began, ends = map(int, claim["q-sign-time"].split(";"))
    assert began < request["at"] < ends


def test_a_submit_goes_to_cis_own_host_as_xml(submitter: Submitter, ci: Emulated) -> None:
    """The host names bucket and region; content type and length describe the body."""
    submitter.submit(REQUEST)
    (request,) = ci.requests()
    assert (request["method"], request["full"]["target"]) == ("POST", "/jobs")
    assert header(request, "Host") == f"{ci.bucket}.ci.ap-chongqing.myqcloud.com"
    assert header(request, "Content-Type") == "application/xml"
    assert int(header(request, "Content-Length")) == len(request["full"]["body"].encode())


def with_credentials(services: Services, **credentials: str) -> Submitter:
    """A submitter of the same installation with other credentials."""
    values = {name: value for name, value in services.settings if value is not None}
    settings = type(services.settings)(_env_file=None, **values | credentials)
    return Submitter(Services.open(settings, timeout=5))


def test_a_temporary_token_travels_with_the_request(services: Services, ci: Emulated) -> None:
    """Credentials from STS: the token is CI's own header."""
    with_credentials(services, cos_token="a-session-token").submit(REQUEST)
    assert header(ci.requests()[0], "x-ci-security-token") == "a-session-token"


def test_nothing_secret_is_logged(
    services: Services, submitter: Submitter, ci: Emulated, caplog: pytest.LogCaptureFixture
) -> None:
    """At any level, also by the SDK, whether CI answers, its answer is lost, or it refuses the credentials: no callback
    token, no secret key, no session token, and no signature or the key of one."""
    caplog.set_level("DEBUG")
    ci.fault("lost_answer", on="submit", times=1)
    submitter.submit(REQUEST)
    submitter.submit(REQUEST)
    # The emulator's own key is a word that its paths contain too.
    own, session = "a-secret-key-of-this-test", "a-session-token-of-this-test"
    with pytest.raises(RequestRejected, match="InvalidAuthorization"):
        with_credentials(services, cos_secret_key=own, cos_token=session).submit(REQUEST)
    sent = ci.requests()
    assert [one["status"] for one in sent] == [0, 200, 401]
    tokens = re.findall(r"callbacks/([^<]+)<", "".join(one["full"]["body"] for one in sent))
    assert len(tokens) == 3
    claims = [claim_of(header(one, "Authorization")) for one in sent]
    keys = [
        hmac.new(key, claim["q-key-time"].encode(), "sha1").hexdigest()
        for key, claim in zip((SECRET, SECRET, own.encode()), claims, strict=True)
    ]
    signatures = [claim["q-signature"] for claim in claims]
    for secret in (*tokens, own, session, *keys, *signatures, "q-signature", "q-key-time"):
        assert secret not in caplog.text
