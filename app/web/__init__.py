"""The web service around its views: problems, bodies, health, access log, and the services of a request."""
