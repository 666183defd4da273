"""/v1: jobs, submissions, and the OpenAPI document."""

from flask import Flask


def init_app(app: Flask) -> None:
    from app.api import events, failures, jobs, rates, reads, refusals, requests, submissions
    from app.api.chosen import many_jobs
    from app.api.document import openapi
    from app.api.overview import audit, endpoints, lanes, stats
    from app.web import health

    for module in (
        jobs,
        many_jobs,
        submissions,
        failures,
        endpoints,
        lanes,
        refusals,
        events,
        stats,
        audit,
        health,
    ):
        app.register_blueprint(module.blueprint)
    requests.init_app(app)
    rates.init_app(app)
    openapi.init_app(app)
    app.wsgi_app = reads.before_views(app.wsgi_app, app)  # type: ignore[method-assign,assignment]
