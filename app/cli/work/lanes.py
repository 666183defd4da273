"""``flask lanes``: how many runs wait in each lane of the workers; pause and resume."""

from __future__ import annotations

import click
from flask.cli import AppGroup, with_appcontext

from app.cli.options import as_json
from app.cli.output import NOT_FOUND, fail, guarded, me, say, show_json
from app.documents.lanes import LanesDocument, LaneView
from app.store.lanes.lanes import LaneState
from app.web.acts import acting
from app.web.services import services

group = AppGroup("lanes", help="The lanes of the workers: handlers with the same queue=.")


@group.command("list")
@as_json
@with_appcontext
@guarded
def list_lanes(json_wanted: bool) -> None:
    """How many runs are due in each, for how long, and how many workers serve it."""
    found = services().store.lanes.all()
    if json_wanted:
        show_json(LanesDocument(lanes=[LaneView.of(each) for each in found]))
        return
    for each in found:
        say(_line(each))


@group.command("pause")
@click.argument("name")
@as_json
@with_appcontext
@guarded
def pause(name: str, json_wanted: bool) -> None:
    """Its runs stay pending; those that have begun end."""
    _known(name)
    with acting("lanes.pause", lane=name):
        services().store.lanes.pause(name, me())
    _show(name, json_wanted)


@group.command("resume")
@click.argument("name")
@as_json
@with_appcontext
@guarded
def resume(name: str, json_wanted: bool) -> None:
    """Its runs are sent to workers again."""
    _known(name)
    with acting("lanes.resume", lane=name):
        services().store.lanes.resume(name)
    _show(name, json_wanted)


def _show(name: str, json_wanted: bool) -> None:
    state = _known(name)
    if json_wanted:
        show_json(LaneView.of(state))
    else:
        say(_line(state))


def _known(name: str) -> LaneState:
    state = services().store.lanes.state(name)
    if state is None:
        names = ", ".join(services().store.lanes.names())
        fail(f"No lane is called {name!r}; there are: {names}", NOT_FOUND)
    return state


def _line(each: LaneState) -> str:
    waits = f"{each.due} due" + (f", the oldest for {each.oldest_s:.0f} s" if each.due else "")
    served = f"{each.workers} workers" if each.workers else "no worker serves it"
    paused = f"  paused by {each.paused.by} at {each.paused.at}" if each.paused else ""
    return f"{each.name}  {waits}  {served}{paused}"
