"""Handlers of a shop that separates recordings; one of its orders cannot be published."""

from __future__ import annotations

from workers.handlers import Event, Job, handler

REFUSED = "order-1042"


@handler(state="Success", name="shop.publish", tries=3, backoff=0, backoff_max=0)
def publish(event: Event, job: Job) -> None:
    if job.user_data == REFUSED:
        raise ConnectionError("the shop's catalogue answered 503")


@handler(state="Success", name="shop.notify")
def notify(event: Event, job: Job) -> None:
    """Nothing that a picture would show."""
