"""POST /callbacks: what CI tells us."""

from flask import Flask
from werkzeug.routing import BaseConverter


class _Anything(BaseConverter):
    """The rest of the path, whatever it holds: what is no token of ours is refused as one, and counted."""

    regex = "(?s:.*)"
    part_isolating = False


def init_app(app: Flask) -> None:
    from app.metrics import counted
    from app.receiver.route import before
    from app.receiver.views import CALLBACK_PROBLEMS, blueprint

    counted.make_series(CALLBACK_PROBLEMS)

    # Otherwise ``/callbacks//<token>`` is redirected, and the token stands in a header of the answer.
    app.url_map.merge_slashes = False
    app.url_map.converters["anything"] = _Anything
    app.register_blueprint(blueprint)
    app.wsgi_app = before(app.wsgi_app, app)  # type: ignore[method-assign,assignment]
