"""Deliveries: signed as Standard Webhooks has it (https://www.standardwebhooks.com), a CloudEvent inside."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct
from standardwebhooks import Webhook, WebhookVerificationError

from ci_receiver_client.documents import Delivery
from ci_receiver_client.errors import BadDelivery


class _CloudEvent(Struct, frozen=True):
    data: Mapping[str, object]


def verify(body: bytes, headers: Mapping[str, str], *keys: str) -> Delivery:
    """The event of a delivery that one of the keys (``whsec_…``) has signed. Raises ``BadDelivery``.

    ``body`` is the bytes as they came: a body that was parsed and written again has another signature.
    """
    if not keys:
        raise ValueError("Name a key: one of the service's FORWARD_KEYS.")
    if not any(_signed(Webhook(key), body, dict(headers)) for key in keys):
        raise BadDelivery("None of the keys has signed this delivery, or it is older than five minutes.")
    try:
        data = msgspec.json.decode(body, type=_CloudEvent).data
        return msgspec.convert({**data, "data": data}, Delivery)
    except msgspec.MsgspecError:
        raise BadDelivery("The signature is good, but the body is not an event of this service.") from None


def _signed(webhook: Webhook, body: bytes, headers: dict[str, str]) -> bool:
    try:
        webhook.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        # ValueError: a signature that is no base64, a body that is no UTF-8.
        return False
    return True
