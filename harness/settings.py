"""Settings for a service that a test, chaos or bench starts."""

from __future__ import annotations

import secrets

from app.settings import Settings


def make_settings(redis_url: str, **more: object) -> Settings:
    values: dict[str, object] = {
        "redis_url": redis_url,
        "public_url": "https://receiver.example.com",
        "cos_secret_id": "emulator",
        "cos_secret_key": "emulator",
        "cos_region": "ap-chongqing",
        "cos_bucket": "demo-1250000000",
        "ci_endpoint": "http://127.0.0.1:9",
        "callback_keys": "k1:a-secret-of-the-tests-0123456789",
        # A bench or a fault run is one key at any rate.
        "api_rate": "1000000/s",
        # On a busy machine a server that is well may not answer for seconds: a test that needs a time-out sets one.
        "redis_timeout": "15s",
        "key_prefix": f"test-{secrets.token_hex(6)}:",
        **more,
    }
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]
