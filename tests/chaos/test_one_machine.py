"""A short ``make chaos``: processes are killed, stalled and starved, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.machine import run_on_one_machine


@pytest.mark.slow
def test_nothing_that_was_answered_is_lost(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each callback answered 200 is in the history, its job's state is right, its handler ran, and a downstream that
    dedupes by event id saw each event once; while web, relay, workers and Redis are killed every second or two."""
    # A Unix socket's path is short.
    folder: Path = tmp_path_factory.mktemp("c")
    verdict, report = run_on_one_machine(
        callbacks=500, seconds=14, seed=11, durability="process", folder=folder
    )
    assert verdict.lost == 0, report
    assert verdict.jobs > 100, report
