"""The web service around its views: problems, bodies, metrics, health, what a request may use."""
