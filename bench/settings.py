"""The settings of the service that is measured."""

from __future__ import annotations

from app.settings import Settings
from harness.settings import make_settings


def measured_settings(redis_url: str, **more: object) -> Settings:
    """As ``make_settings``, with the product's own patience with Redis instead of that of the tests."""
    patience = Settings.model_fields["redis_timeout"].default
    return make_settings(redis_url, **{"redis_timeout": patience, **more})
