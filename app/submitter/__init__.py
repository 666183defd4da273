"""Submits jobs to CI with our own URL as their CallBack. Needs no Flask application; docs/submitting.md has an example.

A request is checked by ``Submitter.draft``, which stores and sends nothing, and sent by ``Submitter.send``.
"""

from app.ci.outgoing.request import (
    AudioConfig,
    MqConfig,
    Operation,
    SubmitRequest,
    VoiceSeparate,
)
from app.ci.outgoing.request import RequestInput as Input
from app.ci.outgoing.request import RequestOutput as Output
from app.ci.outgoing.request import load_request as load
from app.ci.outgoing.rules.broken import BadRequest, BrokenRule
from app.provider import NotSent, ProviderError, RequestRejected, Throttled
from app.store import Unavailable
from app.submitter.draft import Draft
from app.submitter.pace import Pace
from app.submitter.send import Receipt, Submitter

__all__ = [
    "AudioConfig",
    "BadRequest",
    "BrokenRule",
    "Draft",
    "Input",
    "MqConfig",
    "NotSent",
    "Operation",
    "Output",
    "Pace",
    "ProviderError",
    "Receipt",
    "RequestRejected",
    "SubmitRequest",
    "Submitter",
    "Throttled",
    "Unavailable",
    "VoiceSeparate",
    "load",
]
