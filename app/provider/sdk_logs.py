"""Silences the SDK: at INFO it logs whole requests, callback token included; on a failed connection the URL;
at DEBUG the signing key. Imported before anything of ours that could make it speak."""

import logging

import qcloud_cos  # noqa: F401 - its loggers exist only once it is imported


def silence() -> None:
    """Also done by import; call it again after logging is configured."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("qcloud_cos.")]
    for name in ("qcloud_cos", *names):
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False


silence()
