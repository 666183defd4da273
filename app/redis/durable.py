"""How safe a write is before it is answered for: ``DURABILITY``.

A wait is sent right behind the write, on the same connection: both WAIT and WAITAOF cover what *this* connection has
written, and everything that the server took before it, because its log is one sequence. So a duplicate, which writes
a history entry too, is answered only when the original is as safe as the duplicate.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import NoScriptError

from app.redis.breaker import Breaker
from app.redis.connection import MayNotAsk, refusal_of
from app.redis.offer import Level, NotOffered, Offer, Wait
from app.redis.scripts import run, script

log = logging.getLogger(__name__)

_SETTLE_TRIES = 3
"""A file that is synced once a second may take longer than one call may wait."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A write's answer, and whether it is as safe as ``DURABILITY`` promises."""

    answer: Any
    safe: bool


class Durable:
    """Writes through scripts, and waits until they are safe. ``patience_s`` bounds all waits of one write."""

    def __init__(
        self, client: Redis, probe_key: str, level: Level = "process", patience_s: float = 2.0
    ) -> None:
        self.level: Level = level
        self._redis = client
        self._offer = Offer(client)
        self._mark_key = probe_key
        self._together = script(client, "together")
        # An answer comes through a socket that has this patience too: the wait has to end before the socket's does.
        self._patience_ms = max(1, int(patience_s * 1000 * 0.8))
        self._copies = Breaker()

    def run(self, chosen: Script, args: Sequence[Any]) -> Kept:
        """The script's answer, once it is as durable as configured or the wait for that has timed out."""
        if self.level == "process":
            return Kept(run(self._redis, chosen, args), True)
        if not self._copies.allows():
            return Kept(chosen(args=args), False)
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

    def strongest(self, chosen: Script, args: Sequence[Any]) -> Kept:
        """As ``run``, waiting for everything that this server has to offer, whatever ``DURABILITY`` says."""
        answer, reached = self._send(chosen, args, self._offer.all())
        return Kept(answer, self._enough(reached))

    def write(self, commands: Sequence[Sequence[str]]) -> bool:
        """Plain commands, all or nothing, at the strongest level; whether they are as safe as promised."""
        return self.strongest(self._together, [json.dumps(commands)]).safe

    def settle(self) -> str | None:
        """Make everything that was written so far as safe as this server can, with some patience.

        Returns the server's run id, which changes when the server restarts; ``None`` where ``DURABILITY`` is not
        reached.
        """
        waits, reached = self._offer.all(), set[Wait]()
        for _ in range(_SETTLE_TRIES):
            _, reached = self._send(self._together, [self._mark()], waits)
            if reached >= set(waits):
                break
        if not self._enough(reached):
            return None
        try:
            said: dict[str, Any] = self._redis.info("server")
        except MayNotAsk:
            # One that is started anew between two of these looks like the same one.
            return ""
        return str(said.get("run_id", ""))

    def _mark(self) -> str:
        return json.dumps([["SET", self._mark_key, str(time.time_ns()), "EX", "60"]])

    def check(self) -> list[str]:
        """What an operator should know of this level and this server. Raises ``NotOffered``."""
        return self._offer.check(self.level)

    def _run(self, chosen: Script, args: Sequence[Any]) -> Kept:
        try:
            waits = self._offer.needed(self.level)
        except NotOffered as error:
            log.error("%s", error)
            return Kept(chosen(args=args), False)
        answer, reached = self._send(chosen, args, waits)
        return Kept(answer, self._enough(reached))

    def _enough(self, reached: set[Wait]) -> bool:
        try:
            return set(self._offer.needed(self.level)) <= reached
        except NotOffered:
            return False

    def _send(self, chosen: Script, args: Sequence[Any], waits: tuple[Wait, ...]) -> tuple[Any, set[Wait]]:
        """The script and its waits in one go; where the server has forgotten the script, again with its text."""
        answer, acknowledged = self._once(("EVALSHA", chosen.sha), args, waits)
        if isinstance(answer, NoScriptError):
            answer, acknowledged = self._once(("EVAL", chosen.script), args, waits)
        if isinstance(answer, Exception):
            raise refusal_of(answer)
        return answer, {wait for wait, got in zip(waits, acknowledged, strict=True) if _reached(got)}

    def _once(
        self, call: tuple[str, Any], args: Sequence[Any], waits: tuple[Wait, ...]
    ) -> tuple[Any, list[Any]]:
        patience = self._patience_ms // max(1, len(waits))
        pipe = self._redis.pipeline(transaction=False)
        pipe.execute_command(*call, 0, *args)  # type: ignore[no-untyped-call]
        for wait in waits:
            pipe.execute_command(*_COMMANDS[wait], patience)  # type: ignore[no-untyped-call]
        answer, *acknowledged = pipe.execute(raise_on_error=False)
        return answer, acknowledged


_COMMANDS: dict[Wait, tuple[Any, ...]] = {"WAITAOF": ("WAITAOF", 1, 0), "WAIT": ("WAIT", 1)}


def _reached(acknowledged: Any) -> bool:
    """WAIT answers how many replicas, WAITAOF [local files, replicas' files]; either may answer with an error."""
    first = acknowledged[0] if isinstance(acknowledged, list) and acknowledged else acknowledged
    return isinstance(first, int) and first >= 1
