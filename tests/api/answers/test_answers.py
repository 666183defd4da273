"""A view answers what its operation declares, and nothing else."""

from __future__ import annotations

import typing

import pytest
from flask import Flask, Response
from pydantic import BaseModel

from app.web.describe import Answered, ApiOperation, UndeclaredAnswer, ViewAnswer, described


class Declared(BaseModel):
    a: int = 1


class Wider(Declared):
    b: int = 2


OPERATION = ApiOperation("x", answers={200: Declared, 202: Wider, 206: "text/csv"})


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (Declared(), 200, '{"a":1}'),
        (ViewAnswer(Wider(), 202), 202, '{"a":1,"b":2}'),
        (Response("x", 206, mimetype="text/csv"), 206, "x"),
    ],
)
def test_a_declared_model_is_answered(answer: Answered, status: int, text: str) -> None:
    with Flask("x").test_request_context():
        response = described(OPERATION)(lambda: answer)()
        assert (response.status_code, response.get_data(as_text=True)) == (status, text)


@pytest.mark.parametrize(
    "answer",
    [
        Wider(),
        ViewAnswer(Declared(), 202),
        ViewAnswer(Declared(), 201),
        Response('{"a":1}', 200, mimetype="application/json"),
        Response("x", 206, mimetype="text/plain"),
    ],
)
def test_an_undeclared_model_is_an_error(answer: Answered) -> None:
    """Another model, a subclass with more fields, another status, JSON made by hand."""
    with Flask("x").test_request_context(), pytest.raises(UndeclaredAnswer):
        described(OPERATION)(lambda: answer)()


def test_every_view_of_the_api_is_held_to_its_operation(app: Flask) -> None:
    """Each was made by ``described``, and its annotation names a model or an answer, never a dict."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(("/v1", "/healthz", "/readyz", "/metrics")):
            continue
        view = app.view_functions[rule.endpoint]
        assert isinstance(getattr(view, "operation", None), ApiOperation), rule.rule
        kind = typing.get_type_hints(view)["return"]
        for each in typing.get_args(kind) or (kind,):
            assert issubclass(each, typing.get_args(Answered)), (rule.rule, each)
