"""The service, the emulator as CI, and the relay's loops as functions, as in the relay's own tests."""

from tests.workers.conftest import ci, ours, relay

__all__ = ["ci", "ours", "relay"]
