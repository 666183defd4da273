"""`/queue`: list and update queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from emulator.ci import rules
from emulator.ci.paging import page_of
from emulator.ci.submit import read_request
from emulator.http.errors import EmulatorError
from emulator.http.tree import Node, Tree
from emulator.http.web import body, xml

if TYPE_CHECKING:
    from emulator.account import Target
    from emulator.ci.queues import Queue
    from emulator.state import Emulator


def queues_blueprint(emulator: Emulator) -> Blueprint:
    blueprint = Blueprint("queues", __name__)

    @blueprint.get("/queue")
    def queues() -> Response:
        target: Target = g.target
        return xml(_listed(emulator.queues.all(target.bucket), emulator.settings.queue_size))

    @blueprint.put("/queue/<id:queue_id>")
    def update(queue_id: str) -> Response:
        changed = _update(emulator, g.target, queue_id)
        return xml({"RequestId": g.request_id, "Queue": changed.tree(emulator.settings.queue_size)})

    return blueprint


def _listed(queues: list[Queue], capacity: int) -> Tree:
    wanted = [one for one in request.args.get("queueIds", "").split(",") if one]
    state = request.args.get("state") or "All"
    category = request.args.get("category") or "CateAll"
    if state not in {"All", "Active", "Paused"}:
        raise EmulatorError("InvalidArgument", "state must be Active or Paused.")
    chosen = [one for one in queues if not wanted or one.id in wanted]
    chosen = [one for one in chosen if state in {"All", one.state} and category in {"CateAll", one.category}]
    page = page_of(request.args)
    absent: list[Node] = [one for one in wanted if one not in {queue.id for queue in queues}]
    tree = page.head(len(chosen), g.request_id)
    tree["QueueList"] = [one.tree(capacity) for one in page.of(chosen)]
    return tree | ({"NonExistPIDs": absent} if absent else {})


def _update(emulator: Emulator, target: Target, queue_id: str) -> Queue:
    queue = emulator.queues.get(target.bucket, queue_id)
    if queue is None:
        raise EmulatorError("QueueNotFound", f"There is no queue {queue_id[:100]!r}.")
    changes = read_request(body())
    problems = list(rules.queue_problems(changes, public_callbacks=emulator.settings.public_callbacks))
    if problems:
        raise EmulatorError("InvalidArgument", "; ".join(problems) + ".")
    with emulator.database.transaction():
        changed = emulator.queues.update(target.bucket, queue, changes)
        if changed.state != queue.state:
            emulator.engine.queue_changed(target.bucket, queue.id, changed.state)
    return changed
