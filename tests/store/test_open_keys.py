"""A start is refused while jobs are open whose callback URLs no key verifies any more."""

from __future__ import annotations

import pytest

from app.doctor import preflight
from app.services import Services
from app.settings import SettingsError
from harness.servers import Valkey
from harness.settings import make_settings
from tests.store.jobs.populated import new_submission
from tests.store.said import said, tell

NEW = "k2:another-secret-of-the-tests-0123456789"
OLD = "k1:a-secret-of-the-tests-0123456789"


def test_a_key_may_not_go_before_its_jobs_have_ended(valkey: Valkey) -> None:
    """The error names the key, how many submissions need it, and the two remedies; each of them works."""
    before = make_settings(valkey.url, callback_keys=OLD)
    store = Services.open(before, timeout=5).store
    submission = new_submission(store)
    tell(store, said("j1", "Submitted"), source="submit", submission=submission)
    prefix = {"key_prefix": before.key_prefix}

    with pytest.raises(SettingsError, match=r"k1 \(for 1\)"):
        preflight.check_start(make_settings(valkey.url, callback_keys=NEW, **prefix))
    preflight.check_start(make_settings(valkey.url, callback_keys=f"{NEW},{OLD}", **prefix))
    preflight.check_start(
        make_settings(valkey.url, callback_keys=NEW, callback_keys_withdrawn="k1", **prefix)
    )

    tell(store, said("j1", "Success"), submission=submission)
    preflight.check_start(make_settings(valkey.url, callback_keys=NEW, **prefix))
