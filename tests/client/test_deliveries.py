"""``verify``: what the service has signed is an event, and nothing else is."""

from __future__ import annotations

import json

import pytest
from ci_receiver_client import BadDelivery, Delivery, verify
from pydantic import SecretStr

from app.services import Services
from harness.downstream import KEY, OLD_KEY
from tests.workers.news import tell
from workers.forward.message import message, sign

Request = tuple[bytes, dict[str, str]]


@pytest.fixture
def request_of_service(services: Services) -> Request:
    """The body and the headers of a delivery, made by the service's own code, signed with both keys."""
    tell(services)
    (posted,) = services.store.outbox.after("0-0", 1)
    settings = services.settings.model_copy(update={"forward_keys": (SecretStr(KEY), SecretStr(OLD_KEY))})
    return message(posted.event, services.store.jobs.lean(posted.event), settings)


def signed(data: bytes) -> Request:
    return data, sign([SecretStr(KEY)], "e1", data)


def test_a_delivery_is_a_typed_event(request_of_service: Request) -> None:
    """With either key while keys are rotated; the names of headers in any case; the whole data beside it."""
    body, headers = request_of_service
    for keys in ((KEY,), (OLD_KEY,), ("whsec_" + "A" * 32, KEY)):
        delivery = verify(body, {name.upper(): value for name, value in headers.items()}, *keys)
        assert isinstance(delivery, Delivery)
        assert delivery.event_id == headers["webhook-id"]
        assert delivery.kind == "callback"
        assert delivery.job is not None and delivery.job.state == "Success" and delivery.job.raw is None
        assert delivery.data == json.loads(body)["data"]


def test_an_event_without_a_job_is_one_too() -> None:
    """Of kinds that a later service sends; what this client does not know is in ``data``."""
    event = {"event_id": "e1", "kind": "submission_failed", "job": None, "details": {"error": "x"}, "new": 1}
    delivery = verify(*signed(json.dumps({"data": event}).encode()), KEY)
    assert (delivery.job, delivery.details, delivery.data["new"]) == (None, {"error": "x"}, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "nonsense"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,ä"},
        {"webhook-id": "another"},
        {"webhook-timestamp": "1"},
        {"webhook-timestamp": "soon"},
    ],
)
def test_an_unsigned_token_is_refused(request_of_service: Request, changes: dict[str, str]) -> None:
    """Whatever the headers hold: one error, and the key is not in it."""
    body, headers = request_of_service
    with pytest.raises(BadDelivery) as raised:
        verify(body, headers | changes, KEY)
    assert KEY not in f"{raised.value!r}"


def test_a_body_that_was_changed_is_refused(request_of_service: Request) -> None:
    """Also one that was only read and written again, or is no text."""
    body, headers = request_of_service
    for other in (json.dumps(json.loads(body), indent=1).encode(), b"", b"\xff\xfe"):
        with pytest.raises(BadDelivery, match="signed"):
            verify(other, headers, KEY)


@pytest.mark.parametrize("body", [b"[]", b"no json", b"{}", b'{"data": {}}', b'{"data": {"event_id": 7}}'])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    """A sender that uses the same key for something else."""
    with pytest.raises(BadDelivery, match="not an event"):
        verify(*signed(body), KEY)


def test_a_key_is_needed(request_of_service: Request) -> None:
    """Without one, or with one that is no key, nothing is verified: a mistake of the program, not of the sender."""
    with pytest.raises(ValueError, match="FORWARD_KEYS"):
        verify(*request_of_service)
    with pytest.raises(ValueError, match=r"base64|characters|padding"):
        verify(*request_of_service, "whsec_a")
