"""``python -m workers.import_check MODULE…``: can these handler modules be imported? Run by ``flask doctor``.

A process of its own, so that the web service never imports handlers.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from app.settings import SettingsError
from workers import registry


def main(modules: Sequence[str]) -> int:
    """Print the names of their handlers as JSON and return 0; or print the fault to standard error and return 2."""
    try:
        registry.import_handlers(modules)
    except SettingsError as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    sys.stdout.write(f"\n{json.dumps(registry.handler_names())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
