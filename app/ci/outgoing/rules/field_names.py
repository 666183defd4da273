"""Rules name the fields of the request as the API has them. Here those names become what a person sees instead:
the options of a command, or the labels of a form.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from app.ci.outgoing.facts import OUTPUT_KEYS

_PLACES: Final = ("bucket", "region")
"""Of a part these have defaults: the part itself is named by its other fields."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class FieldNames:
    """``shown``: the path of each field and its name for a person, such as ``{"output.object": "--output-object"}``.

    ``others`` are further words of rules, such as the name of a part, and what stands for them.
    """

    def __init__(self, shown: Mapping[str, str], others: Mapping[str, str] = _NONE) -> None:
        keys = ", ".join(shown[f"output.{key}"] for key in OUTPUT_KEYS)
        self._shown = shown
        self._in_rules = {
            **{name: label for path, label in shown.items() for name in (path, path.rpartition(".")[2])},
            ", ".join(OUTPUT_KEYS): keys,
            **others,
        }
        # A name of one plain word is an English word as well.
        names = sorted((each for each in self._in_rules if not each.isalpha()), key=len, reverse=True)
        self._named = re.compile("|".join(rf"(?<![\w.-]){re.escape(each)}(?!\w)" for each in names))

    def sentence(self, rule: str) -> str:
        """The rule with a person's names in it."""
        return self._named.sub(lambda found: self._in_rules[found[0]], rule)

    def fields(self, path: str, given: Collection[str]) -> list[str]:
        """The field itself; of a part, those of its fields that were given, or the one to begin with."""
        inside = [each for each in self._shown if each.startswith(f"{path}.")]
        inside.sort(key=lambda each: each.rpartition(".")[2] in _PLACES)
        return [each for each in inside if each in given] or inside[:1] or [path]
