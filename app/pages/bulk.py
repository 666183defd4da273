"""An action on many things: a page says how many there are, and then it is done step by step until all are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from flask import Response, make_response, request
from msgspec import Struct
from werkzeug.wrappers import Response as AnyResponse

from app.pages import done, page
from app.web.problems import Problem

_WHYS_SHOWN: Final = 3
_LARGEST: Final = 10**12
REASON_MAX: Final = 500
"""Characters of a reason that are stored."""


class Bulk(Struct, frozen=True):
    """What is asked and done. ``verb`` and ``noun`` make the sentences ("Replay 3 jobs?"). The form goes to ``to`` and
    carries ``action`` and either ``ids``, each named ``id_name``, or the filters ``chosen``; ``back`` is the list.
    ``reason_field`` is where a reason is asked for; empty: none is."""

    verb: str
    noun: str
    action: str
    to: str
    back: str
    chosen: Mapping[str, Any]
    id_name: str
    ids: Sequence[str] = ()
    note: str = ""
    reason_field: str = ""


class Step(Struct, frozen=True):
    """What one request has done: of ``count`` things ``done``, and why not the others. The next request goes on at
    ``next_cursor``."""

    count: int
    done: int
    why: Sequence[str] = ()
    next_cursor: str | None = None


class Steps(Struct, frozen=True):
    """All steps so far."""

    seen: int
    done: int
    total: int

    @property
    def left(self) -> int:
        return max(0, self.total - self.seen)


def confirm(bulk: Bulk, count: int, *, is_least: bool = False) -> Response:
    """How many it would be. ``is_least``: there may be more."""
    return page("parts/sure.html", bulk=bulk, count=count, is_least=is_least)


def went(bulk: Bulk, step: Step) -> AnyResponse:
    """Back to the list with what was done; where there are more, a page that goes on by itself."""
    progress = Steps(
        _given("seen") + step.count,
        _given("done") + step.done,
        max(_given("total"), _given("seen") + step.count),
    )
    if step.next_cursor is not None:
        return page("parts/step.html", bulk=bulk, progress=progress, cursor=step.next_cursor)
    message = f"{bulk.verb}: {progress.done:,} of {progress.seen:,} done."
    answer = done(" ".join((message, *step.why[:_WHYS_SHOWN])), bulk.back)
    if "HX-Request" in request.headers:
        # The script follows a redirect by itself, and the address of the page would stay.
        answer = make_response("", 200, {"HX-Redirect": bulk.back})
    return answer


def retry_or_dismiss(
    bulk: Bulk, *, count: Callable[[Bulk], int], step: Callable[[Bulk, str], Step]
) -> AnyResponse:
    """Confirm the number of failures or refusals; with ``sure`` retry or dismiss them. Dismissing needs a reason."""
    if bulk.action not in {"retry", "dismiss"}:
        raise Problem("bad_request", f"A {bulk.noun} can be retried or dismissed.")
    if not bulk.ids and request.form.get("which") != "all":
        return done(f"Select at least one {bulk.noun} first.", bulk.back)
    if not request.form.get("sure"):
        return confirm(bulk, count(bulk))
    reason = request.form.get(bulk.reason_field, "").strip()[:REASON_MAX]
    if bulk.reason_field and not reason:
        return done("Nothing was dismissed: a reason is needed.", bulk.back)
    return went(bulk, step(bulk, reason))


def selected(id_name: str) -> list[str]:
    """The ids of the selected rows; none if the action is on all that match."""
    return [] if request.form.get("which") == "all" else request.form.getlist(id_name)


def _given(name: str) -> int:
    """A count of earlier steps."""
    return min(request.form.get(name, 0, type=int), _LARGEST)
