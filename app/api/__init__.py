"""/v1: jobs, submissions, and the description of it all."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.api import docs, health, jobs, submissions
    from app.api.tail import Tail
    from app.services import Services

    ours: Services = app.extensions["services"]
    app.extensions["tail"] = Tail(ours.settings)
    for blueprint in (jobs.blueprint, submissions.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    docs.init_app(app)
