"""Events that were acted on, so that each is acted on once however often it is delivered."""

from __future__ import annotations

import logging
import os
import sqlite3

from ci_receiver_client import Delivery

EVENTS = os.environ.get("EVENTS", "events.db")
log = logging.getLogger(__name__)


def act_once(delivery: Delivery) -> None:
    """A try that follows a lost answer has the same event_id, which is here already."""
    with sqlite3.connect(EVENTS) as database:
        database.execute("CREATE TABLE IF NOT EXISTS events (event_id TEXT PRIMARY KEY, what TEXT)")
        row = (delivery.event_id, describe(delivery))
        if database.execute("INSERT OR IGNORE INTO events VALUES (?, ?)", row).rowcount:
            act(delivery)  # if this raises, the row is rolled back, and the next try acts


def act(delivery: Delivery) -> None:
    """Your own work goes here. What takes longer than FORWARD_TIMEOUT belongs on a queue of your own."""
    log.info("%s", describe(delivery))


def describe(delivery: Delivery) -> str:
    job = delivery.job
    return f"{delivery.kind}: {job.job_id} is {job.state}" if job else delivery.kind
