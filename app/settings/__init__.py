"""Every setting: its type, its default, and where its value comes from."""

from app.settings.loading import (
    STACK_ENV,
    SettingsError,
    hold,
    load,
    packed,
    stack_is_up,
    unpacked,
)
from app.settings.settings import Settings

__all__ = [
    "STACK_ENV",
    "Settings",
    "SettingsError",
    "hold",
    "load",
    "packed",
    "stack_is_up",
    "unpacked",
]
