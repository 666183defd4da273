"""The fixture ``flask`` of the tests of submits."""

from tests.cli.submit.conftest import ci, flask, settings

__all__ = ["ci", "flask", "settings"]
