"""The declared answers of a view: the OpenAPI document is made of them, and an undeclared answer is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec

from flask import Response, current_app, request
from msgspec import Struct, field
from pydantic import BaseModel

P = ParamSpec("P")


class ApiOperation(Struct, frozen=True):
    """One view: its summary, the models of its query and body, and its answers by status.

    An answer is a model, the media type of bytes, or ``""`` for none. ``event`` is the model of each event of a stream;
    ``raw`` are the media types of a body that is no model; ``open`` is one that needs no API key.
    """

    summary: str
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    answers: dict[int, type[BaseModel] | str] = field(default_factory=dict)
    event: type[BaseModel] | None = None
    problems: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    open: bool = False


class ViewAnswer(Struct, frozen=True):
    """A document with a status other than 200, with headers, or with an ETag, which makes ``If-None-Match`` work."""

    document: BaseModel
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None


class RepeatedAnswer(Struct, frozen=True):
    """The text of an earlier answer of this operation, repeated."""

    text: str
    status: int
    headers: Mapping[str, str]


class WrittenAnswer(Struct, frozen=True):
    """A document of ``model`` that is JSON already; an ``etag`` as in ``ViewAnswer``."""

    model: type[BaseModel]
    text: bytes
    etag: str | None = None


class Unchanged(Struct, frozen=True):
    """The client has the document of this ``etag``: the answer is 304, and no document was made."""

    etag: str


Answered = BaseModel | WrittenAnswer | Unchanged | ViewAnswer | RepeatedAnswer | Response
"""What a view may return; a ``Response`` is for bytes and streams only."""


class UndeclaredAnswer(TypeError):
    """A view answered something that its operation does not declare."""


def described(operation: ApiOperation) -> Callable[[Callable[P, Answered]], Callable[P, Response]]:
    """Make a response of the view's answer. Raises ``UndeclaredAnswer`` if the operation does not declare it."""

    def decorate(view: Callable[P, Answered]) -> Callable[P, Response]:
        @wraps(view)
        def answering(*args: P.args, **kwargs: P.kwargs) -> Response:
            return _response(operation, view(*args, **kwargs))

        answering.operation = operation  # type: ignore[attr-defined]
        return answering

    return decorate


def text_of(document: BaseModel, indent: int | None = None) -> str:
    """A document as JSON: the same for the API and for commands with ``--json``."""
    return document.model_dump_json(by_alias=True, indent=indent)


def _response(operation: ApiOperation, answered: Answered) -> Response:
    if isinstance(answered, Response):
        if operation.answers.get(answered.status_code) != answered.mimetype:
            raise UndeclaredAnswer(f"{answered.status_code} {answered.mimetype}")
        return answered
    if isinstance(answered, RepeatedAnswer):
        return _json(answered.text, answered.status, answered.headers)
    if isinstance(answered, Unchanged):
        return _marked(current_app.response_class(status=304), answered.etag)
    if isinstance(answered, WrittenAnswer):
        if operation.answers.get(200) is not answered.model:
            raise UndeclaredAnswer(f"200 {answered.model.__name__}")
        return _marked(_json(answered.text, 200, {}), answered.etag)
    answer = answered if isinstance(answered, ViewAnswer) else ViewAnswer(answered)
    # The exact type: a subclass may have fields that the declared model lacks.
    if operation.answers.get(answer.status) is not type(answer.document):
        raise UndeclaredAnswer(f"{answer.status} {type(answer.document).__name__}")
    response = _json(text_of(answer.document), answer.status, answer.headers)
    if answer.etag:
        response.set_etag(answer.etag)
        response.make_conditional(request)
    return response


def _marked(response: Response, etag: str | None) -> Response:
    if etag:
        response.set_etag(etag)
    return response


def _json(text: str | bytes, status: int, headers: Mapping[str, str]) -> Response:
    response = current_app.response_class(text, status, mimetype="application/json")
    response.headers.update(headers)
    return response
