"""The same ``flask`` as for submits."""

from tests.cli.submit.conftest import ci, flask, settings

__all__ = ["ci", "flask", "settings"]
