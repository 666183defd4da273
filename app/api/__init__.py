"""/v1: jobs, submissions, and the description of it all."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.api import docs, events, failures, jobs, refusals, settle, submissions
    from app.web import health

    for module in (jobs, settle, submissions, failures, refusals, events, health):
        app.register_blueprint(module.blueprint)
    docs.init_app(app)
