"""The control API under /_emulator, for tests and people; README.md lists it. Plain JSON, not signed.

CI has no path under /_emulator, and the emulator accepts no object with such a key.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request

from emulator.callbacks.callback_request import CallbackRequestError
from emulator.callbacks.on_demand import send
from emulator.faults import FaultError, fault_from
from emulator.jobs.jobs import TERMINAL
from emulator.settings import SettingError

if TYPE_CHECKING:
    from flask import Response

    from emulator.state import Emulator

Answer = tuple["Response", int]


class CallError(ValueError):
    """An invalid call of the control API; answered 400 with its text."""


def control_blueprint(emulator: Emulator) -> Blueprint:
    blueprint = Blueprint("control", __name__)
    for error in (CallError, FaultError, SettingError, CallbackRequestError):
        blueprint.register_error_handler(error, _refused)
    _state_routes(blueprint, emulator)
    _fault_routes(blueprint, emulator)
    _callback_routes(blueprint, emulator)
    _job_routes(blueprint, emulator)
    return blueprint


def _refused(error: Exception) -> Answer:
    return jsonify({"error": str(error)}), 400


def _json() -> dict[str, Any]:
    tree = request.get_json(force=True, silent=True)
    if not isinstance(tree, dict):
        raise CallError("the body must be a JSON object")
    return tree


def _state_routes(blueprint: Blueprint, emulator: Emulator) -> None:
    @blueprint.get("/health")
    def health() -> Answer:
        emulator.database.row("SELECT 1")
        return jsonify({"status": "ok"}), 200

    @blueprint.get("/settings")
    def settings() -> Answer:
        return jsonify(dataclasses.asdict(emulator.settings)), 200

    @blueprint.patch("/settings")
    def change_settings() -> Answer:
        return jsonify(dataclasses.asdict(emulator.change_settings(_json()))), 200

    @blueprint.post("/reset")
    def reset() -> Answer:
        emulator.reset()
        return jsonify({"status": "ok"}), 200

    @blueprint.get("/requests")
    def requests() -> Answer:
        wanted, bucket = request.args.get("endpoint"), request.args.get("bucket")
        hidden = set() if request.args.get("full") == "1" else {"full"}
        found = [
            {name: value for name, value in one.items() if name not in hidden}
            for one in list(emulator.requests)
            if wanted in {None, one["endpoint"]} and bucket in {None, one["bucket"]}
        ]
        return jsonify({"requests": found}), 200


def _fault_routes(blueprint: Blueprint, emulator: Emulator) -> None:
    @blueprint.get("/faults")
    def faults() -> Answer:
        return jsonify({"faults": emulator.faults.all()}), 200

    @blueprint.post("/faults")
    def arm() -> Answer:
        return jsonify({"id": emulator.faults.arm(fault_from(_json())).id}), 201

    @blueprint.delete("/faults")
    def disarm_all() -> Answer:
        emulator.faults.disarm()
        return jsonify({"faults": []}), 200

    @blueprint.delete("/faults/<int:fault_id>")
    def disarm(fault_id: int) -> Answer:
        emulator.faults.disarm(fault_id)
        return jsonify({"faults": emulator.faults.all()}), 200


def _callback_routes(blueprint: Blueprint, emulator: Emulator) -> None:
    @blueprint.get("/callbacks")
    def callbacks() -> Answer:
        limit = min(1000, request.args.get("limit", 100, type=int))
        found = emulator.outbox.listed(request.args.get("job_id"), limit)
        full = request.args.get("full") == "1"
        return jsonify({"callbacks": [one.shown(full=full) for one in found]}), 200

    @blueprint.post("/callbacks")
    def trigger() -> Answer:
        return jsonify(send(emulator, _json())), 200


def _job_routes(blueprint: Blueprint, emulator: Emulator) -> None:
    @blueprint.post("/jobs/<job_id>")
    def end(job_id: str) -> Answer:
        wanted = _json()
        state = str(wanted.get("state", "Success"))
        if state not in TERMINAL - {"Cancel"} | {"Running"}:
            raise CallError("state must be Running, Success or Failed")
        job = emulator.jobs.get(job_id)
        if job is None or job.terminal:
            raise CallError("no such job, or it has ended")
        emulator.engine.force(job, state, str(wanted.get("code", "")), str(wanted.get("message", "")))
        return jsonify({"job_id": job_id, "state": state}), 200
