"""Silences the SDK's loggers: at INFO they log whole requests with the callback token, at DEBUG the signing key, and at
any level the URL of a failed connection. ``wire`` calls this right after it has imported the SDK."""

import logging


def silence() -> None:
    """Call it again after logging is configured."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("qcloud_cos.")]
    for name in ("qcloud_cos", *names):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


silence()
