"""The dashboard: one page that reads the API with the visitor's API key."""

from pathlib import Path

from flask import Blueprint, Flask, Response, send_from_directory

_STATIC = Path(__file__).parent / "static"

blueprint = Blueprint("pages", __name__, static_folder="static", static_url_path="/static")


@blueprint.get("/")
def dashboard() -> Response:
    """The key travels in the fragment of the address, which browsers send to no server, and stays in the tab."""
    page = send_from_directory(_STATIC, "dashboard.html")
    page.headers["Content-Security-Policy"] = "default-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    page.headers["Cache-Control"] = "no-cache"
    return page


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
