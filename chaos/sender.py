"""CI, as far as a receiver knows it: posts, and tries again only what was not answered with 200; sometimes never."""

from __future__ import annotations

import http.client
import json
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from chaos.plan import Message

_PATIENCE_S = 15.0
_NEVER = 0.2
"""How many of the callbacks that failed are never tried again."""


@dataclass
class Sent:
    """What came of it. ``answered`` has one message for each answer of 200."""

    answered: list[Message] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    given_up: int = 0
    seconds: list[float] = field(default_factory=list)


class Sender:
    """Some threads with connections of their own."""

    def __init__(self, port: int, path: str, threads: int, chance: random.Random) -> None:
        self._port, self._path, self._threads, self._chance = port, path, threads, chance
        self._due: queue.PriorityQueue[tuple[float, int, Message | None]] = queue.PriorityQueue()
        self._lock = threading.Lock()
        self.sent = Sent()

    def send(self, messages: Sequence[Message], seconds: float) -> Sent:
        """All of them, evenly over that time; then wait for what is tried again."""
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
            worker.join(_PATIENCE_S)
        return self.sent

    def _work(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_S)
        while True:
            at, number, message = self._due.get()
            if message is None:
                return
            time.sleep(max(0.0, at - time.monotonic()))
            again = self._post(connection, message)
            if again:
                self._due.put((time.monotonic() + 0.5 + self._random(), number, message))
            self._due.task_done()

    def _post(self, connection: http.client.HTTPConnection, message: Message) -> bool:
        """Whether it is to be tried again."""
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
        with self._lock:
            self.sent.answered.append(message)
            self.sent.outcomes[json.loads(body)["results"][0]["outcome"]] += 1
            self.sent.seconds.append(time.monotonic() - began)
        return False

    def _failed(self, why: str) -> bool:
        with self._lock:
            self.sent.refused[why] += 1
            if self._chance.random() < _NEVER:
                self.sent.given_up += 1
                return False
        return True

    def _random(self) -> float:
        with self._lock:
            return self._chance.random()
