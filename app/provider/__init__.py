"""Asking CI and COS, through Tencent's SDK, whose loggers this import silences."""

from app.provider import quiet
from app.provider.client import Head, Provider
from app.provider.errors import AnswerLost, NotSent, ProviderError, Refused, Throttled, Unavailable
from app.provider.queues import Notify, Queue
from app.provider.wire import ProviderConfig

__all__ = [
    "AnswerLost",
    "Head",
    "NotSent",
    "Notify",
    "Provider",
    "ProviderConfig",
    "ProviderError",
    "Queue",
    "Refused",
    "Throttled",
    "Unavailable",
    "quiet",
]
