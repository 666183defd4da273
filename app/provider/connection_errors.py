"""A request that ended without an answer: was it certainly not received (`NotSent`), or perhaps (`AnswerLost`)?"""

import socket
import ssl
from collections.abc import Iterator

from requests.exceptions import InvalidHeader
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from app.provider.errors import AnswerLost, NotSent, ProviderError

_NOT_SENT: dict[type[BaseException], str] = {
    NameResolutionError: "NameNotResolved",
    socket.gaierror: "NameNotResolved",
    ssl.SSLCertVerificationError: "CertificateInvalid",
    NewConnectionError: "ConnectionRefused",
    ConnectTimeoutError: "ConnectTimeout",
    LocationValueError: "RequestInvalid",
    InvalidHeader: "RequestInvalid",
}
"""Faults from before the first byte was sent, the special kinds before the general ones."""


def connection_error(failure: BaseException, question: bool = False) -> ProviderError:
    """The error to raise for a failed connection: `AnswerLost` unless it failed before the first byte was sent."""
    causes = list(_causes(failure))
    for kind, code in _NOT_SENT.items():
        if any(isinstance(cause, kind) for cause in causes):
            return NotSent(code)
    if any(isinstance(cause, ReadTimeoutError) for cause in causes):
        return AnswerLost("AnswerTimeout", question=question)
    return AnswerLost("ConnectionBroken", question=question)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps: urllib3 nests them in args, reason, cause and context."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
