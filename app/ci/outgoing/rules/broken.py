"""How a broken rule is reported: one shape for a wrong type, for CI's rules and for ours."""

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["error", "warning"]

RuleFindings = Iterator[tuple[str, str, str]]
"""One finding of a rule: field, word, and the rule as a sentence."""


WARNINGS = frozenset(
    (
        "region",
        "input_url",
        "no_input",
        "no_operation",
        "input_format",
        "template_wins",
        "ignored_in_music_mode",
        "codec_case",
        "amr_samplerate",
        "output_for_mode",
        "output_unused",
        "output_same",
        "output_is_input",
        "wildcard",
        "leading_slash",
        "mq_config_unused",
        "callback_unused",
    )
)
"""Words of rules that are only inferred, or whose breach is harmless: they warn, and the request may be sent."""

MAY_PASS = WARNINGS | frozenset(
    (
        "codec",
        "samplerate",
        "bitrate",
        "channels",
        "audio_mode",
        "mq_region",
        "mq_mode",
        "callback_type",
        "private_callback",
        "job_level",
        "operations_count",
        "key_length",
    )
)
"""The words that `allow` accepts."""


class BrokenRule(BaseModel):
    """One rule that a request breaks."""

    model_config = ConfigDict(frozen=True)

    field: str  # path in the request, as "output.object" or "operations.1.user_data"
    rule: str  # a sentence that states the rule
    word: str  # the same, as one machine word; what `allow` names
    severity: Severity = "error"


class BadRequest(ValueError):
    """The request cannot be sent; `broken` holds every reason."""

    def __init__(self, broken: Iterable[BrokenRule]) -> None:
        self.broken = tuple(broken)
        super().__init__("; ".join(f"{b.field}: {b.rule}" if b.field else b.rule for b in self.broken))


def violations_of(broken: Iterable[BrokenRule], severity: Severity) -> list[dict[str, str]]:
    """The broken rules of one severity, as callers see them."""
    fields = {"field", "rule", "word"}
    return [each.model_dump(include=fields) for each in broken if each.severity == severity]
