"""POST /callbacks: verify, normalize and store what CI reports."""

from flask import Flask
from werkzeug.routing import BaseConverter


class _Anything(BaseConverter):
    """The rest of the path, slashes too: whatever is not a token of ours is refused and counted as a bad token."""

    regex = "(?s:.*)"
    part_isolating = False


def init_app(app: Flask) -> None:
    from app.metrics import counted
    from app.receiver.route import before
    from app.receiver.views import CALLBACK_PROBLEMS, blueprint

    counted.make_series(CALLBACK_PROBLEMS)

    # Otherwise ``/callbacks//<token>`` is redirected, with the token in a header of the answer.
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = _Anything
    app.register_blueprint(blueprint)
    app.wsgi_app = before(app.wsgi_app, app)  # type: ignore[method-assign,assignment]
