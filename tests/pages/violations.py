"""What axe finds on a page."""

from __future__ import annotations

import json

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """Each broken rule with its first three places, by all rules of axe."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {json.dumps([node['target'] for node in each['nodes']][:3])}" for each in found]
