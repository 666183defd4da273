"""Waits until a write is as durable as ``DURABILITY`` promises, before it is answered.

The wait follows the write on the same connection: WAIT and WAITAOF cover what *this* connection has written
(https://redis.io/docs/latest/commands/waitaof/), and everything that the server accepted before, because its log is one
sequence. So a duplicate, which writes a history entry too, is answered only when the original is durable as well.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from redis import Redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

from app.redis.breaker import Breaker
from app.redis.capabilities import Capabilities, DurabilityUnsupported, Level, Wait
from app.redis.connection import MayNotAsk, as_write_refusal, exchange
from app.redis.scripts import evalsha, script

log = logging.getLogger(__name__)

_SETTLE_TRIES = 3
"""With appendfsync everysec, the sync may take longer than one wait."""


class WriteResult(Struct, frozen=True):
    """A write's answer, and whether it is as durable as ``DURABILITY`` promises."""

    answer: Any
    safe: bool


class Durable:
    """Runs scripts that write, and waits until the writes are durable. ``patience_s`` (seconds) bounds all waits of one
    write."""

    def __init__(
        self, client: Redis, probe_key: str, level: Level = "process", patience_s: float = 2.0
    ) -> None:
        self.level: Level = level
        self._redis = client
        self._capabilities = Capabilities(client)
        self._probe_key = probe_key
        self._together = script(client, "together")
        # The socket has the same timeout: the wait has to end before it does.
        self._patience_ms = max(1, int(patience_s * 1000 * 0.8))
        self._copies = Breaker()

    def run(self, chosen: Script, args: Sequence[Any]) -> WriteResult:
        """The script's answer, once it is as durable as configured or the wait for that has timed out."""
        if self.level == "process":
            return WriteResult(evalsha(self._redis, chosen, args), True)
        if not self._copies.allows():
            return WriteResult(chosen(args=args), False)
        kept = self._run(chosen, args)
        if kept.safe:
            self._copies.succeeded()
        else:
            log.warning(
                "DURABILITY %s was not reached in time; pausing the wait briefly and spooling second copies",
                self.level,
            )
            self._copies.failed()
        return kept

    def strongest(self, chosen: Script, args: Sequence[Any]) -> WriteResult:
        """As ``run``, with every wait that this server supports, whatever ``DURABILITY`` is."""
        answer, reached = self._send(chosen, args, self._capabilities.all())
        return WriteResult(answer, self._enough(reached))

    def write(self, commands: Sequence[Sequence[str]]) -> bool:
        """Run plain commands, all or nothing, at the strongest level; true if they are as durable as promised."""
        return self.strongest(self._together, [json.dumps(commands)]).safe

    def settle(self) -> str | None:
        """Wait, for a few timeouts, until everything written so far is as durable as this server can make it.

        Returns the server's run id, which changes when the server restarts; ``None`` if ``DURABILITY`` is not reached.
        """
        waits, reached = self._capabilities.all(), set[Wait]()
        for _ in range(_SETTLE_TRIES):
            _, reached = self._send(self._together, [self._probe_command()], waits)
            if reached >= set(waits):
                break
        if not self._enough(reached):
            return None
        try:
            info: dict[str, Any] = self._redis.info("server")
        except MayNotAsk:
            # Without INFO a restart between two calls goes unnoticed.
            return ""
        return str(info.get("run_id", ""))

    def _probe_command(self) -> str:
        return json.dumps([["SET", self._probe_key, str(time.time_ns()), "EX", "60"]])

    def check(self) -> list[str]:
        """Warnings for the operator about this level and this server. Raises ``DurabilityUnsupported``."""
        return self._capabilities.check(self.level)

    def _run(self, chosen: Script, args: Sequence[Any]) -> WriteResult:
        try:
            waits = self._capabilities.needed(self.level)
        except DurabilityUnsupported as error:
            log.error("%s", error)
            return WriteResult(chosen(args=args), False)
        answer, reached = self._send(chosen, args, waits)
        return WriteResult(answer, self._enough(reached))

    def _enough(self, reached: set[Wait]) -> bool:
        try:
            return set(self._capabilities.needed(self.level)) <= reached
        except DurabilityUnsupported:
            return False

    def _send(self, chosen: Script, args: Sequence[Any], waits: tuple[Wait, ...]) -> tuple[Any, set[Wait]]:
        """The script and its waits in one round trip; with the script's text if the server does not know its hash."""
        answer, acknowledged = self._once(("EVALSHA", chosen.sha), args, waits)
        if isinstance(answer, NoScriptError):
            answer, acknowledged = self._once(("EVAL", chosen.script), args, waits)
        if isinstance(answer, Exception):
            raise as_write_refusal(answer)
        return answer, {wait for wait, got in zip(waits, acknowledged, strict=True) if _reached(got)}

    def _once(
        self, call: tuple[str, Any], args: Sequence[Any], waits: tuple[Wait, ...]
    ) -> tuple[Any, list[Any]]:
        patience = self._patience_ms // max(1, len(waits))
        commands = ((*call, 0, *args), *((*_COMMANDS[wait], patience) for wait in waits))
        answer, *acknowledged = exchange(self._redis, commands)
        return answer, acknowledged


_COMMANDS: dict[Wait, tuple[Any, ...]] = {"WAITAOF": ("WAITAOF", 1, 0), "WAIT": ("WAIT", 1)}


def _reached(acknowledged: Any) -> bool:
    """WAIT answers the number of replicas, WAITAOF [local files, replicas' files]; either may answer with an error."""
    first = acknowledged[0] if isinstance(acknowledged, list) and acknowledged else acknowledged
    return isinstance(first, int) and first >= 1
