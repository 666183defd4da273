"""`/template`: create, update, delete and list templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request

from emulator.ci import rules
from emulator.ci.paging import page_of
from emulator.ci.submit import read_request
from emulator.ci.templates import Template
from emulator.http.errors import EmulatorError
from emulator.http.tree import Node, Tree, text
from emulator.http.web import body, xml

if TYPE_CHECKING:
    from emulator.account import Target
    from emulator.state import Emulator


def templates_blueprint(emulator: Emulator) -> Blueprint:
    blueprint = Blueprint("templates", __name__)

    @blueprint.get("/template")
    def listed() -> Response:
        target: Target = g.target
        return xml(_listed(emulator.templates.all(target.bucket)))

    @blueprint.post("/template")
    def make() -> Response:
        target: Target = g.target
        tag, name, settings = _read()
        _check_name(emulator, target, name)
        return _shown(emulator.templates.make(target.bucket, tag, name, settings))

    @blueprint.put("/template/<id:template_id>")
    def change(template_id: str) -> Response:
        template = _own(emulator, g.target, template_id)
        _, name, settings = _read()
        if name != template.name:
            _check_name(emulator, g.target, name)
        return _shown(emulator.templates.change(template, name, settings))

    @blueprint.delete("/template/<id:template_id>")
    def delete(template_id: str) -> Response:
        emulator.templates.delete(_own(emulator, g.target, template_id))
        return xml({"RequestId": g.request_id, "TemplateId": template_id})

    return blueprint


def _shown(template: Template) -> Response:
    return xml({"RequestId": g.request_id, "Template": template.tree()})


def _read() -> tuple[str, str, Tree]:
    """Tag, name and the rest of a template's request."""
    tree = read_request(body())
    tag, name = text(tree, "Tag"), text(tree, "Name")
    if not tag or not name:
        raise EmulatorError("InvalidArgument", "Tag and Name are required.")
    rest = {key: node for key, node in tree.items() if key not in {"Tag", "Name"}}
    problems = list(rules.separation_problems(rest, "Request")) if tag == "VoiceSeparate" else []
    if problems:
        raise EmulatorError("InvalidArgument", "; ".join(problems) + ".")
    return tag, name, rest


def _check_name(emulator: Emulator, target: Target, name: str) -> None:
    if any(one.name == name for one in emulator.templates.all(target.bucket)):
        raise EmulatorError("TemplateNameDuplicate", f"There is a template named {name[:100]!r}.")


def _own(emulator: Emulator, target: Target, template_id: str) -> Template:
    template = emulator.templates.get(target.bucket, template_id)
    if template is None or template.category != "Custom":
        raise EmulatorError("TemplateNotFound", f"There is no template {template_id[:100]!r}.")
    return template


def _listed(templates: list[Template]) -> Tree:
    params = request.args
    wanted = [one for one in params.get("ids", "").split(",") if one]
    chosen = [
        one
        for one in templates
        if (not wanted or one.id in wanted)
        and params.get("tag", "") in {"", "All", one.tag}
        and params.get("category", "") in {"", one.category}
        and one.name.startswith(params.get("name", ""))
    ]
    page = page_of(params)
    absent: list[Node] = [one for one in wanted if one not in {template.id for template in templates}]
    tree = page.head(len(chosen), g.request_id)
    tree["TemplateList"] = [one.tree() for one in page.of(chosen)]
    return tree | ({"NonExistTIDs": absent} if absent else {})
