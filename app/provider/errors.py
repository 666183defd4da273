"""What can go wrong when CI or COS is asked, sorted by what the caller may do next.

No text here ever holds a secret, a token or a URL: errors are logged, stored and shown.
"""

from app.provider.advice import advice_for


class ProviderError(Exception):
    """CI or COS did not do what it was asked. Raised as one of the five below."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        advice: str | None = None,
        question: bool = False,
    ) -> None:
        self.code = code  # CI's own word, or one of ours where CI said nothing
        self.message = message  # CI's own sentence, secrets taken out
        self.status = status  # HTTP, None where there was no answer
        self.request_id = request_id  # what Tencent's support asks for
        self.retry_after = retry_after  # seconds, when the answer named a time
        self.submission: str | None = None  # our record of what was asked, where there is one
        self.advice = advice or advice_for(
            code, question
        )  # what to do about it; empty for codes that we do not know
        super().__init__(self._text())

    def _text(self) -> str:
        head = f"{self.code}: {self.message}" if self.message else self.code
        request = f"request id {self.request_id}" if self.request_id else ""
        return ". ".join(part.rstrip(".") for part in (head, self.advice, request) if part)


class NotSent(ProviderError):
    """No connection came about: certainly not received."""


class Throttled(ProviderError):
    """SlowDown or 429: refused unread; `retry_after` says when, if CI did."""


class AnswerLost(ProviderError):
    """Sent, and no answer that could be read: CI may have done it."""


class RequestRejected(ProviderError):
    """CI or COS refused (3xx or 4xx): the same request fails again until its cause is fixed."""


class ServerError(ProviderError):
    """CI or COS is in trouble (5xx): it may or may not have done it."""
