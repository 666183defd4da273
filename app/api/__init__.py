"""/v1: jobs, submissions, and the description of it all."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.api import docs, endpoints, events, failures, jobs, refusals, requests, submissions
    from app.web import health

    for module in (jobs, submissions, failures, endpoints, refusals, events, health):
        app.register_blueprint(module.blueprint)
    requests.init_app(app)
    docs.init_app(app)
