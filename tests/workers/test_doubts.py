"""While a job is in doubt no handler runs for its callbacks; when the doubt is settled, they run."""

from __future__ import annotations

from typing import Any

import pytest

from app.ci.incoming.payload import parse
from app.store import News, Store
from tests.workers.news import body
from workers.registry import Handler

END, OTHER_END = "2026-01-02T10:00:00+0800", "2026-01-02T11:00:00+0800"
FUTURE = "9999-12-31T00:00:00+0800"


def handler(**more: Any) -> Handler:
    return Handler("each", print, frozenset(), frozenset(), 1, 1, 1, 1, **more)


PLAIN, EVERY_NEWS = handler(), handler(every_news=True)


def say(store: Store, state: str, end: str, source: Any = "callback") -> None:
    content = body("j1", state, EndTime=end)
    store.acceptor.accept(News(parse(content).details, source, "token", body=content))


def wanted(store: Store, since: int) -> list[tuple[str, bool, bool]]:
    events = [each.event for each in store.outbox.after("0-0", 100)][since:]
    return [(each.kind, PLAIN.wants(each), EVERY_NEWS.wants(each)) for each in events]


@pytest.mark.parametrize("answer", ["poll", "settle"])
@pytest.mark.parametrize(
    ("before", "contradiction", "after"),
    [
        ([("Success", END)], ("Failed", END), []),
        ([("Success", END)], ("Success", OTHER_END), []),
        ([("Running", "")], ("Failed", FUTURE), [("Success", END)]),
        ([], ("Failed", FUTURE), [("Success", END)]),
        ([], ("Timeout", END), [("Success", END)]),
        ([("Running", "")], ("success", END), [("Success", END)]),
    ],
)
def test_nothing_runs_while_a_job_is_in_doubt(
    store: Store,
    before: list[tuple[str, str]],
    contradiction: tuple[str, str],
    after: list[tuple[str, str]],
    answer: str,
) -> None:
    """No handler, not even one for every news, gets the events of that time; afterwards both kinds do."""
    for each in before:
        say(store, *each)
    known = len(store.outbox.after("0-0", 100))
    for each in (contradiction, *after):
        say(store, *each)
    assert wanted(store, known) == [
        ("doubt", False, False),
        *(("callback", False, False) for _ in after),
    ]
    held = known + 1 + len(after)
    if answer == "poll":
        say(store, "Success", END, "poll")
    else:
        assert store.doubts.settle("j1", "known", "an-operator")
    # Handlers that ran before do not run again; those that were held back run now.
    assert wanted(store, held) == [(answer, True, True) for _ in after]
