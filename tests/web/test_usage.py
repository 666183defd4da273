"""A web process remembers a bounded number of refused callback URLs."""

import pytest

from app.store.accept.news import UrlLimit
from app.web import usage
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
