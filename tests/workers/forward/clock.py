"""Time passes for what waits to be delivered, by moving what is due: no test has to sit through a pause."""

from __future__ import annotations

from app.redis.scripts import decoded_all
from app.store import Store

_PAUSES = ("not_before", "named")


def pauses_end(store: Store, endpoint: str) -> None:
    """As if the pause of the endpoint and the back-off of each of its deliveries were over."""
    redis, state = store.db.client, store.db.key("endpoint", endpoint)
    schedule = store.db.key("deliveries", endpoint)
    pipe = redis.pipeline()
    pipe.hset(state, mapping=dict.fromkeys(_PAUSES, 0))
    for run_id in decoded_all(redis.zrange(schedule, 0, -1)):
        pipe.zadd(schedule, {run_id: 0}, xx=True)
    pipe.execute()
