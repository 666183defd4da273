"""The one exception of this package: a body that is refused, and why."""

QUOTE_LIMIT = 100


class Refused(ValueError):
    """A body that is not a callback of CI's, or that exceeds the limits.

    ``reason`` is one machine word (it ends up in the problem document and in the metrics), ``status`` the
    HTTP status that fits it, and the text a sentence saying what was found and what was expected.
    """

    def __init__(self, reason: str, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.status = status


def quoted(found: object) -> str:
    """At most 100 characters of a stranger's text, as printable ASCII: safe to log, and in an answer."""
    if isinstance(found, bytes):
        found = found[:QUOTE_LIMIT].decode("utf-8", "replace")
    shown = ascii(found if not isinstance(found, str) else found[:QUOTE_LIMIT])
    return shown if len(shown) <= QUOTE_LIMIT else shown[: QUOTE_LIMIT - 3] + "..."
