"""Reads a Dockerfile into its stages: https://docs.docker.com/reference/dockerfile/.

It reads only what ours uses; any other instruction or option raises, so that no step is skipped unnoticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from string import Template
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

Word = Literal["RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "CMD"]
_WORDS = frozenset({"RUN", "COPY", "WORKDIR", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "CMD"})


class Step(NamedTuple):
    """One instruction; ``text`` is what follows its word, with continued lines joined."""

    word: Word
    text: str

    def listed(self) -> list[str]:
        """The command of a CMD or HEALTHCHECK. Raises ValueError where it is not in the exec form."""
        found = re.search(r"\[.*\]$", self.text)
        if found is None:
            raise ValueError(f'{self.word} needs the exec form, ["…"]: {self.text}')
        return cast("list[str]", json.loads(found.group()))


class Stage(NamedTuple):
    """``base`` is another stage or an image."""

    name: str
    base: str
    steps: tuple[Step, ...]


def read_stages(text: str, given: Mapping[str, str] = MappingProxyType({})) -> tuple[Stage, ...]:
    """All stages, in order; one without a name is called by its number. ``given`` are the builder's ``--build-arg``.
    Raises ValueError for what it does not know."""
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for word, rest in _instructions(text):
        # In a stage only one that is empty unless the builder is given it: steps have just what is given.
        if word == "ARG" and (not stages or rest.endswith("=")):
            name, _, value = rest.partition("=")
            arguments[name] = given.get(name, value)
        elif word == "FROM":
            base, *named = Template(rest).substitute(arguments).split()
            stages.append(Stage(named[-1] if named else str(len(stages)), base, ()))
        elif word in _WORDS and stages:
            step = Step(cast("Word", word), rest)
            stages[-1] = stages[-1]._replace(steps=(*stages[-1].steps, step))
        else:
            raise ValueError(f"{word} {rest}: not an instruction that is run here")
    if unknown := given.keys() - arguments.keys():
        raise ValueError(f"the Dockerfile has no ARG {', '.join(sorted(unknown))}")
    return tuple(stages)


def last_of(stage: Stage, word: Word) -> Step:
    """The last instruction of that name, which takes effect. Raises LookupError if the stage has none."""
    found = [step for step in stage.steps if step.word == word]
    if not found:
        raise LookupError(f"stage {stage.name} has no {word}")
    return found[-1]


def environment_of(steps: Sequence[Step]) -> dict[str, str]:
    """The variables that ENV sets."""
    pairs = [pair.partition("=") for step in steps if step.word == "ENV" for pair in step.text.split()]
    return {name: value for name, _, value in pairs}


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    for line in joined.splitlines():
        word, _, rest = line.partition(" ")
        yield word.upper(), rest.strip()
