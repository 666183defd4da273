"""POST /callbacks: what CI tells us."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.receiver.views import blueprint

    # Otherwise ``/callbacks//<token>`` is redirected, and the token stands in a header of the answer.
    app.url_map.merge_slashes = False
    app.register_blueprint(blueprint)
