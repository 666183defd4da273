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
_KEYS: Final = ", ".join(OUTPUT_KEYS)
_NAME = re.compile(r"(?<![\w.-])[a-z]\w*(?:\.[a-z]\w*)*")


class FieldNames:
    """``shown``: the path of each field and its name for a person, such as ``{"output.object": "--output-object"}``.

    ``others`` are further words of rules, such as the name of a part, and what stands for them.
    """

    def __init__(self, shown: Mapping[str, str], others: Mapping[str, str] = _NONE) -> None:
        self._shown = shown
        self._keys = ", ".join(shown[f"output.{key}"] for key in OUTPUT_KEYS)
        names = {name: label for path, label in shown.items() for name in (path, path.rpartition(".")[2])}
        # A name of one plain word, such as "object", is an English word as well.
        self._in_rules = {name: label for name, label in (names | dict(others)).items() if not name.isalpha()}

    def sentence(self, rule: str) -> str:
        """The rule with a person's names in it."""
        rule = rule.replace(_KEYS, self._keys)
        return _NAME.sub(lambda found: self._in_rules.get(found[0], found[0]), rule)

    def fields(self, path: str, given: Collection[str]) -> list[str]:
        """The field itself; of a part, those of its fields that were given, or the one to begin with."""
        inside = [each for each in self._shown if each.startswith(f"{path}.")]
        inside.sort(key=lambda each: each.rpartition(".")[2] in _PLACES)
        return [each for each in inside if each in given] or inside[:1] or [path]
