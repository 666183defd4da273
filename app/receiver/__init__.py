"""POST /callbacks: what CI tells us."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.receiver.views import blueprint

    app.register_blueprint(blueprint)
