"""/v1: jobs, submissions, and the description of it all."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.api import docs, health, jobs, submissions

    for blueprint in (jobs.blueprint, submissions.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    docs.init_app(app)
