"""How a call to CI or COS fails, sorted by what the caller may do next.

No error holds a secret, a token or a URL in its text: errors are logged, stored and shown.
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
        self.code = code  # CI's own, or one of ours if there was no answer
        self.message = message  # CI's own, with secrets removed
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
    """No connection was made, so CI certainly did not receive it: it may be sent again."""


class Throttled(ProviderError):
    """SlowDown or 429: CI did not process it; it may be sent again, after `retry_after` seconds if CI named a time."""


class AnswerLost(ProviderError):
    """Sent, but the answer did not arrive or cannot be read: CI may have processed it."""


class RequestRejected(ProviderError):
    """3xx or 4xx: the same request fails again until its cause is fixed."""


class ServerError(ProviderError):
    """5xx: CI or COS may or may not have processed it."""
