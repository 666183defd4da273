"""The filters of a list: in its address, and in the forms on it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import url_for


def chosen_filters(given: Mapping[str, str], names: Container[str]) -> dict[str, Any]:
    """Those of these names that an address or a form holds. Others reach no form: a link could
    otherwise fill in its fields, such as the action or its confirmation."""
    return {name: value for name, value in given.items() if name in names and value}


def list_url(view: str, chosen: Mapping[str, Any], **more: Any) -> str:
    """The address of a list with these filters. ``url_for`` would take some of their names for options of its own."""
    query = {name: value for name, value in {**chosen, **more}.items() if value}
    path = url_for(f"pages.{view}")
    return f"{path}?{urlencode(query)}" if query else path
