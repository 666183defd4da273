"""No id can name another thing's key, and one table lists every kind of key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.keys import EARLIER, KINDS, key
from harness.servers import ROOT

STORE = ROOT / "app" / "store"
_KEYISH = st.lists(st.sampled_from([*KINDS, ":", "J", "*", "\0", "é", ""]), max_size=6).map("".join)


def _documented() -> dict[str, str]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (STORE / "KEYS.md").read_text(), re.MULTILINE)
    return dict(rows)


def test_the_table_lists_every_kind_of_key() -> None:
    """KEYS.md and the code name the same kinds, of the same types."""
    assert _documented() == KINDS


def test_the_table_names_files_that_are_there() -> None:
    """Each file that the table names as writer or remover of a key exists."""
    named = set(re.findall(r"\b\w+\.(?:py|lua)\b", (STORE / "KEYS.md").read_text()))
    there = {file.name for folder in ("app", "workers") for file in (ROOT / folder).rglob("*.*")}
    assert named - there == set()


@pytest.mark.parametrize("script", sorted(STORE.rglob("*.lua")), ids=lambda path: path.name)
def test_scripts_name_only_keys_of_the_table(script: Path) -> None:
    """Each key that a script makes is a kind of the table, and the id is the last part of it."""
    text = script.read_text()
    known = KINDS.keys() | (EARLIER if script.parent.name == "schema" else set())
    made = re.findall(r"(?:prefix|ARGV\[1\]) \.\. '([^']*)'", text) + re.findall(r"\bkey\('([^']*)'", text)
    assert {each.removesuffix(":") for each in made} <= known
    assert not re.findall(r"(?:KEYS\[\d\]|\bjob|hash|submission) \.\. ':", text), "an id is followed by more"


def test_an_unknown_kind_is_refused() -> None:
    """A key that the table does not list cannot be made."""
    with pytest.raises(KeyError):
        key("ci:", "nothing")


@given(st.sampled_from(sorted(KINDS)), _KEYISH, st.sampled_from(sorted(KINDS)), _KEYISH)
def test_no_two_things_share_a_key(kind: str, each: str, other_kind: str, other: str) -> None:
    """Two keys are equal only if kind and id are; an id cannot name a key that has none."""
    assert (key("ci:", kind, each) == key("ci:", other_kind, other)) == ((kind, each) == (other_kind, other))
    assert key("ci:", kind, each) not in {key("ci:", fixed) for fixed in KINDS}
