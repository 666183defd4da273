"""/v1/lanes: how many runs wait in each lane of the workers; pause and resume."""

from __future__ import annotations

from flask import Blueprint, g

from app.api.auth import needs
from app.documents.lanes import LanesDocument, LaneView
from app.store.lanes.lanes import LaneState
from app.web.acts import acting
from app.web.describe import ApiOperation, described
from app.web.problems import Problem
from app.web.services import services

blueprint = Blueprint("lanes", __name__, url_prefix="/v1/lanes")


@blueprint.get("")
@needs("read")
@described(ApiOperation("The lanes of the workers", answers={200: LanesDocument}))
def page() -> LanesDocument:
    return LanesDocument(lanes=[LaneView.of(each) for each in services().store.lanes.all()])


@blueprint.post("/<name>/pause")
@needs("admin")
@described(
    ApiOperation(
        "Pause a lane: its runs stay pending; those that have begun end",
        answers={200: LaneView},
        problems=("unknown_lane",),
    )
)
def pause(name: str) -> LaneView:
    _known(name)
    with acting("lanes.pause", lane=name):
        services().store.lanes.pause(name, g.api_key.name)
    return LaneView.of(_known(name))


@blueprint.post("/<name>/resume")
@needs("admin")
@described(
    ApiOperation("Resume a paused lane", answers={200: LaneView}, problems=("unknown_lane",)),
)
def resume(name: str) -> LaneView:
    _known(name)
    with acting("lanes.resume", lane=name):
        services().store.lanes.resume(name)
    return LaneView.of(_known(name))


def _known(name: str) -> LaneState:
    state = services().store.lanes.state(name)
    if state is None:
        names = ", ".join(services().store.lanes.names())
        raise Problem("unknown_lane", f"No lane is called that; there are: {names}.")
    return state
