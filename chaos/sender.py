"""The role of CI: posts callbacks, and retries those that were not answered with 200, but some of them never."""

from __future__ import annotations

import http.client
import itertools
import json
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos.plan import Message

_TIMEOUT_S = 15.0
_SHARE_NOT_RETRIED = 0.2
"""The share of failed callbacks that are never retried."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One answer of 200 with its receiver; ``began`` and ``ended`` are those of ``time.monotonic()``."""

    message: Message
    outcome: str
    receiver: str
    began: float
    ended: float


@dataclass
class Sent:
    """The answers to all callbacks."""

    answers: list[Acknowledgement] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    given_up: int = 0

    @property
    def answered(self) -> list[Message]:
        return [answer.message for answer in self.answers]

    @property
    def outcomes(self) -> Counter[str]:
        return Counter(answer.outcome for answer in self.answers)

    @property
    def seconds(self) -> list[float]:
        return [answer.ended - answer.began for answer in self.answers]


class Sender:
    """Threads with their own connections. Requests go to the receivers in turns, as from a load balancer without
    health checks: only the sender retries what fails, about a second later."""

    def __init__(
        self, receivers: Sequence[tuple[str, int]], path: str, threads: int, chance: random.Random
    ) -> None:
        self._receivers, self._path, self._threads, self._chance = receivers, path, threads, chance
        self._due: queue.PriorityQueue[tuple[float, int, Message | None]] = queue.PriorityQueue()
        self._lock = threading.Lock()
        self.sent = Sent()

    def send(self, messages: Sequence[Message], seconds: float) -> Sent:
        """Send all messages evenly over that time, then wait for the retries."""
        began = time.monotonic()
        for n, message in enumerate(messages):
            self._due.put((began + seconds * n / len(messages), n, message))
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(self._threads)]
        for worker in workers:
            worker.start()
        self._due.join()
        for n in range(self._threads):
            self._due.put((float("inf"), n, None))
        for worker in workers:
            worker.join(_TIMEOUT_S)
        return self.sent

    def _work(self) -> None:
        connections = [http.client.HTTPConnection(*each, timeout=_TIMEOUT_S) for each in self._receivers]
        turns = itertools.cycle(connections)
        while True:
            at, number, message = self._due.get()
            if message is None:
                return
            time.sleep(max(0.0, at - time.monotonic()))
            if self._post(next(turns), message):
                self._due.put((time.monotonic() + 0.5 + self._random(), number, message))
            self._due.task_done()

    def _post(self, connection: http.client.HTTPConnection, message: Message) -> bool:
        """Send one; whether it has to be retried."""
        began = time.monotonic()
        try:
            connection.request("POST", self._path, message.body)
            answer = connection.getresponse()
            status, body = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return self._failed(type(error).__name__)
        if status != 200:
            return self._failed(str(status))
        outcome = json.loads(body)["results"][0]["outcome"]
        with self._lock:
            self.sent.answers.append(
                Acknowledgement(message, outcome, connection.host, began, time.monotonic())
            )
        return False

    def _failed(self, why: str) -> bool:
        with self._lock:
            self.sent.refused[why] += 1
            if self._chance.random() < _SHARE_NOT_RETRIED:
                self.sent.given_up += 1
                return False
        return True

    def _random(self) -> float:
        with self._lock:
            return self._chance.random()
