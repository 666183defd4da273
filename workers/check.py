"""``python -m workers.check``: can the modules of ``HANDLERS`` be imported? For ``flask doctor``."""

from __future__ import annotations

import json
import sys

from app import settings
from workers import registry


def main() -> int:
    try:
        registry.load(settings.load().handlers)
    except settings.SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(registry.names()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
