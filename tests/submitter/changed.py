"""Services with other settings."""

from __future__ import annotations

from typing import Any

from app.services import Services
from app.settings import Settings


def changed(services: Services, **settings: Any) -> Services:
    values = {name: value for name, value in services.settings if value is not None}
    return Services.open(Settings(_env_file=None, **(values | settings)), timeout=5)
