"""What a web process remembers of callback URLs is bounded, and so is what it reads of one at once."""

import pytest

from app.store.accept.news import UrlLimit
from app.web import usage
from app.web.problems import Problem
from app.web.usage import UrlUsage
from tests.store.clocks import off_by

LIMIT = UrlLimit(per_minute=100, runs=20)


def test_the_newest_refusals_are_remembered() -> None:
    """Beyond the bound the oldest URLs are forgotten; newer ones are still refused."""
    urls = UrlUsage()
    most = usage._REMEMBERED
    for n in range(most + 5):
        assert urls.refuse(f"token{n}", 600)
    assert urls.count("token4", LIMIT) == 0
    assert urls.count("token5", LIMIT) > 0
    assert urls.count(f"token{most + 4}", LIMIT) > 0


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_refusal_ends_when_it_said(hours: int) -> None:
    """Although the clock of the host was set, back or forward."""
    urls = UrlUsage()
    assert urls.refuse("token", 600)
    with off_by(hours * 3600):
        assert 0 < urls.count("token", LIMIT) <= 601
        assert not urls.refuse("token", 600)


def test_a_refused_url_is_refused_once() -> None:
    """The second refusal returns false, so that neither log line nor question to CI is repeated."""
    urls = UrlUsage()
    assert urls.refuse("token", 600)
    assert not urls.refuse("token", 600)


@pytest.mark.parametrize("sizes", [(0, 0), (0, 5), (5, 5), (5, 0)])
def test_bodies_that_overlap_leave_room_again(sizes: tuple[int, int]) -> None:
    """Also empty ones, which take none."""
    urls = UrlUsage()
    first, second = (urls.reading("token", size) for size in sizes)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    with (
        urls.reading("token", usage.BYTES_AT_ONCE),
        pytest.raises(Problem, match="Retry-After"),
        urls.reading("token", 1),
    ):
        pass
