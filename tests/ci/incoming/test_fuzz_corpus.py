"""The fuzz target's seeds, and what it once found, as ordinary tests."""

from pathlib import Path

import pytest

from app.ci.incoming.payload import Refused, parse
from tests.ci.promises import check

SEEDS = sorted((Path(__file__).parents[3] / "fuzz" / "corpus").iterdir())


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_every_seed_keeps_the_promises(seed: Path) -> None:
    """A seed named ``refused-<reason>…`` is refused for that; every other one is a callback."""
    body = seed.read_bytes()
    check(body)
    if seed.name.startswith("refused-"):
        with pytest.raises(Refused) as caught:
            parse(body)
        assert seed.name.split("-")[1] == caught.value.reason
    else:
        parse(body)
