"""The settings of the service in both parts of the suite."""

from __future__ import annotations

from app.settings import Settings
from harness.downstream import KEY
from harness.settings import make_settings


def settings_of(redis_url: str, public_url: str, downstream: str, network: str, **more: object) -> Settings:
    """``downstream`` (``host:port`` in ``network``) gets all events of state Success."""
    return make_settings(
        redis_url,
        public_url=public_url,
        handlers="chaos.handlers",
        redis_timeout="1s",
        check_outputs=False,
        forward_urls=f"http://{downstream}/hook#state=Success",
        forward_keys=KEY,
        forward_allow_private=network,
        forward_backoff="0.5s",
        forward_tries=40,
        key_prefix="chaos:",
        **more,
    )
