"""Ends pauses of deliveries by changing the times at which they are due, so that no test has to wait."""

from __future__ import annotations

from app.redis.scripts import decoded_all
from app.store import Store

_PAUSES = ("not_before", "named")


def pauses_end(store: Store, endpoint: str) -> None:
    """End the pause of the endpoint and the back-off of each of its deliveries."""
    redis, state = store.db.client, store.db.key("endpoint", endpoint)
    schedule = store.db.key("deliveries", endpoint)
    pipe = redis.pipeline()
    pipe.hset(state, mapping=dict.fromkeys(_PAUSES, 0))
    for run_id in decoded_all(redis.zrange(schedule, 0, -1)):
        pipe.zadd(schedule, {run_id: 0}, xx=True)
    pipe.execute()
