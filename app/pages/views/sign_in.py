"""Signing in with an API key, or once with a code; signing out."""

from __future__ import annotations

from flask import redirect, request, url_for
from werkzeug.wrappers import Response

from app.api.rates import check_guesses, count_guess
from app.pages import blueprint, page, session
from app.store.access.api_keys import ApiKey, key_digest
from app.web.services import services


@blueprint.get("/login")
def sign_in() -> Response:
    """Sign in with a ``code`` of ``make run``, which works once."""
    code = request.args.get("code")
    if code:
        return _with_code(code)
    return page("sign_in.html", next=_own_path(request.args.get("next")), error=None)


@blueprint.post("/login")
def sign_in_with_key() -> Response:
    key = request.form.get("key", "").strip()
    to = _own_path(request.form.get("next"))
    found = _find(key) if key else None
    if found is None:
        error = (
            "No such key. Copy it whole; flask keys create NAME makes a new one."
            if key
            else "Enter an API key."
        )
        return page("sign_in.html", 403, next=to, error=error)
    if not found.scopes & {"read", "admin"}:
        error = (
            f"The key {found.name} lacks the scope read. Make another: flask keys create NAME --scope read."
        )
        return page("sign_in.html", 403, next=to, error=error)
    answer = redirect(request.script_root + to, 303)
    session.begin(answer, key_digest(key))
    return answer


def _find(key: str) -> ApiKey | None:
    """Raises ``Problem`` if this address has sent too many wrong keys, here or to the API."""
    digest = key_digest(key)
    check_guesses(digest)
    found = services().store.api_keys.with_digest(digest)
    if found is None:
        count_guess(digest)
    return found


@blueprint.post("/logout")
def sign_out() -> Response:
    answer = redirect(url_for("pages.sign_in"), 303)
    session.end(answer)
    return answer


def _with_code(code: str) -> Response:
    digest = services().store.sign_ins.use(code)
    if digest is None:
        if session.key_of(session.current()):
            return redirect(url_for("pages.jobs"))
        return page(
            "sign_in.html",
            403,
            next="/",
            error="This link was used already. Enter an API key.",
        )
    answer = redirect(url_for("pages.jobs"))
    session.begin(answer, digest)
    return answer


def _own_path(wanted: str | None) -> str:
    """The path below our own prefix to go to after signing in: a page of ours, never another site. Browsers drop a tab
    or a line end, and take a backslash for a slash: https://url.spec.whatwg.org/#url-parsing."""
    if wanted and wanted.isprintable() and wanted.startswith("/") and not wanted.startswith(("//", "/\\")):
        return wanted
    return "/"
