"""The pages for people, made on the server: jobs, one job, failures, refusals, health, submit.

A page does what the API does, by calling the API's own operations with the key of its session (session.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import (
    Blueprint,
    Flask,
    Request,
    Response,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.wrappers import Response as AnyResponse

from app.api.auth import may
from app.pages import session, words
from app.pages.filters import list_url
from app.store import UNAVAILABLE, Unavailable
from app.web.problems import PROBLEMS, Problem
from app.web.services import services

_HERE = Path(__file__).parent
_OPEN = {
    "pages.sign_in",
    "pages.sign_in_with_key",
    "pages.static",
    "pages.reference",
    "pages.reference_moved",
    "pages.runbook",
}
"""Endpoints that need no session."""

blueprint = Blueprint(
    "pages",
    __name__,
    static_folder=_HERE / "static",
    static_url_path="/static",
    template_folder=_HERE / "templates",
)


@blueprint.before_request
def guard() -> AnyResponse | None:
    """Require a valid key, and for a change a form that was made for this session."""
    if request.endpoint == "pages.static":
        return None
    if request.method == "POST":
        session.check_form()
    if request.endpoint in _OPEN:
        return None
    key = session.key_of(session.current())
    if key is None:
        here = request.full_path.rstrip("?") if request.method == "GET" else "/"
        return redirect(url_for("pages.sign_in", next=here))
    g.api_key = key
    if not may("read"):
        raise Problem("forbidden", f"The key {key.name!r} lacks the scope 'read', which the pages need.")
    return _without_empty_filters()


def _without_empty_filters() -> AnyResponse | None:
    """A form sends every field that it has; the address should hold only the filters that someone chose."""
    if request.method != "GET" or "HX-Request" in request.headers or all(request.args.values()):
        return None
    chosen = [(name, value) for name, value in request.args.items(multi=True) if value]
    path = url_for(str(request.endpoint), **(request.view_args or {}))
    return redirect(f"{path}?{urlencode(chosen)}" if chosen else path)


@blueprint.after_request
def protect(answer: Response) -> Response:
    """Headers: only our own scripts, no frames, no caching. Media may come from the hosts that this page links to."""
    if request.endpoint == "pages.static":
        return answer
    media = " ".join(("'self'", *sorted(g.get("media_origins", ()))))
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'self'; img-src {media} data:; media-src {media}; object-src 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; form-action 'self'"
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.app_context_processor
def _for_templates() -> dict[str, Any]:
    return {"may": may, "form_proof": session.form_proof, "list_url": list_url}


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a whole page; a first visit also gets its cookie."""
    answer = make_response(render_template(template, **values), status)
    if session.COOKIE not in request.cookies:
        session.set_cookie(answer, session.current())
    return answer


def done(message: str, to: str) -> AnyResponse:
    """Answer a form: redirect to ``to``, where the next page shows what was done."""
    flash(message)
    return redirect(to, 303)


@blueprint.errorhandler(Problem)
def _problem(problem: Problem) -> Response:
    status, title = PROBLEMS[problem.reason]
    return page("problem.html", status, title=title, problem=problem)


def _away(error: Exception) -> Response:
    detail = "Redis is unavailable, so nothing can be shown. Callbacks are still taken if there is a spool."
    return page(
        "problem.html", 503, title="Storage is unavailable", problem=Problem("store_unavailable", detail)
    )


for _error in (*UNAVAILABLE, Unavailable):
    blueprint.register_error_handler(_error, _away)


class _Messages(SecureCookieSessionInterface):
    """Stores what was done until the next page shows it: a cookie for the path that the service is mounted at."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        # A call of the API has no cookie: nothing to read, and no signer to build.
        return (
            super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()
        )

    def get_cookie_path(self, app: Flask) -> str:
        return request.script_root or "/"


def init_app(app: Flask) -> None:
    # Importing them adds their views to the blueprint.
    from app.pages.views import (  # noqa: F401
        failures,
        health,
        job,
        jobs,
        live,
        reference,
        refusals,
        sign_in,
        submit,
    )

    words.init_app(app)
    # Flask signs with the first key and accepts the others.
    first, *others = services_keys(app)
    app.config.update(SECRET_KEY=first, SECRET_KEY_FALLBACKS=others, SESSION_COOKIE_NAME="ci_messages")
    app.config.update(SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True)
    app.session_interface = _Messages()
    app.register_blueprint(blueprint)


def services_keys(app: Flask) -> list[str]:
    with app.app_context():
        return session.secrets_of(services().settings)
