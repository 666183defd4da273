"""Calls to CI and COS through Tencent's SDK (cos-python-sdk-v5). Importing this silences the SDK's loggers,
and does not import the SDK."""

from app.provider import sdk_logs
from app.provider.client import Head, Provider
from app.provider.errors import AnswerLost, NotSent, ProviderError, RequestRejected, ServerError, Throttled
from app.provider.queues import Notify, Queue
from app.provider.values import Place, ProviderConfig

__all__ = [
    "AnswerLost",
    "Head",
    "NotSent",
    "Notify",
    "Place",
    "Provider",
    "ProviderConfig",
    "ProviderError",
    "Queue",
    "RequestRejected",
    "ServerError",
    "Throttled",
    "sdk_logs",
]
