"""``NAME_FILE``: a secret is read from the file at that path, which is how Docker and Kubernetes mount secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic_settings import PydanticBaseSettingsSource


class UnreadableValue:
    """Placeholder for a value that could not be read: no field accepts it, and the error shows its sentence."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence


class SecretFiles(PydanticBaseSettingsSource):
    """``NAME_FILE`` holds the path of a file whose content is the value of ``NAME``."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        name = f"{field_name.upper()}_FILE"
        path = os.environ.get(name) or dotenv_values(".env").get(name)
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not text in UTF-8"
            return (
                UnreadableValue(f"{name} names a file that cannot be read: {path} ({why})"),
                field_name,
                False,
            )

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}
