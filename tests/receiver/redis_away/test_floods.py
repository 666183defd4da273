"""A callback URL that exceeds its limits while Redis is away: CI is asked when Redis is back."""

from __future__ import annotations

from app.core.tokens import Binding
from app.redis.scripts import decoded, decoded_all
from app.services import Services
from app.settings import Settings
from app.settings.callback_limits import CallbackLimits
from app.web import lifecycle
from harness.servers import Valkey, eventually
from tests.callbacks import body, new_job_id, path
from tests.receiver.redis_away.troubles import killed
from tests.store.said import said, tell
from tests.store.samples import submission
from tests.web.serving import serving


def test_a_flood_while_redis_is_away_is_noted_when_it_is_back(server: Valkey, settings: Settings) -> None:
    """CI is asked about the job of a submission's URL; for a console URL its list will be read, from the beginning of
    the flood on."""
    limits = CallbackLimits(submission_per_minute=3, console_per_minute=3)
    app = serving(settings.model_copy(update={"callback_limits": limits}))
    client, job_id = app.test_client(), new_job_id()
    # Clients of its own, which no outage has made wait.
    store = Services.open(settings, timeout=5).store
    store.submissions.create(submission("s1"))
    tell(store, said(job_id, "Running"), source="submit", submission="s1", ask_after=1e6)
    urls = [path(settings, binding) for binding in (Binding(submission="s1"), Binding(name="console"))]
    before = store.db.now_ms()
    with killed(server):
        for url in urls:
            assert 429 in {client.post(url, data=body(job_id, "Running")).status_code for _ in range(12)}
    again = store.db.now_ms()
    eventually(lambda: store.due.take(10, 60) == [job_id], "the question about the job")
    eventually(lambda: store.db.client.zcard(store.db.key("flooded")), "the flood of the console URL")
    lifecycle.stopped(app)
    (token,) = decoded_all(store.db.client.zrange(store.db.key("flooded"), 0, -1))
    since = decoded(store.db.client.hget(store.db.key("url", token), "flood_since"))
    assert before <= int(since or 0) <= again
