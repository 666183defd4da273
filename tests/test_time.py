"""The suite waits for states, not for times: a busy machine is no reason for a test to fail."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache

import pytest

from harness.servers import ROOT

MAY_SLEEP = {
    "harness/servers.py": "eventually() polls",
    "tests/callbacks.py": "callbacks at the rate of a busy day",
    "tests/api/test_jobs.py": "links are signed for a second; another one has to begin",
    "tests/api/events/test_stream_examples.py": "its silence is longer than the time-out of the library",
    "tests/e2e/test_graceful.py": "the signal is to arrive before the rest of the body does",
    "tests/e2e/test_reload.py": "to be gone through with the reload",
    "tests/e2e/test_spool_crash.py": "kills at moments that nothing chooses; any of them will do",
    "tests/e2e/test_spool_trouble.py": "kills at moments that nothing chooses; any of them will do",
    "tests/docs/console.py": "a reader who does not see yet what the page shows looks again",
    "tests/emulator/running.py": "eventually() polls",
    "tests/receiver/hostile/test_hostile_connections.py": "spaces packets",
    "tests/receiver/hostile/test_slow_and_idle.py": "spaces packets; a client that trickles",
    "tests/redis/test_durable.py": "the drainer has to have had a chance to be wrong",
    "tests/redis/test_sentinel.py": "a silence that is longer than the client's time-out",
    "tests/store/accept/test_accept_order.py": "kills at random moments",
    "tests/store/jobs/test_callback_url_life.py": "a life of a millisecond is over",
    "tests/store/jobs/test_retention.py": "kills at random moments",
    "tests/workers/lanes/lane_handlers.py": "handlers that take long, or hang",
    "tests/workers/some_handlers.py": "handlers that take long, or hang",
    "tests/workers/test_outage.py": "an outage lasts that long, and nothing is said twice in it",
    "tests/workers/test_recovery.py": "kills at random moments, and load that is spread",
}
"""Files with a call of ``time.sleep``, and why no state could be waited for. A sleep of these may be too short to show
a fault; none may be too short for the test to pass."""

CLOCKS = frozenset({"time", "monotonic", "perf_counter"})
LEAST_BOUND_S = 10
LEAST_PATIENCE_S = 60
RUNS = frozenset({"run", "communicate", "check_output", "check_call"})


@cache
def _trees() -> dict[str, ast.Module]:
    files = (file for folder in ("tests", "harness") for file in (ROOT / folder).rglob("*.py"))
    return {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in files}


def _named(node: ast.AST, names: frozenset[str]) -> bool:
    """A call of a function of ``time`` with one of these names."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "time"
        and node.func.attr in names
    )


def _reads(node: ast.AST, known: set[str]) -> bool:
    """Whether a clock, or a name that holds what one said, is part of this expression."""
    return any(
        _named(each, CLOCKS) or (isinstance(each, ast.Name) and each.id in known) for each in ast.walk(node)
    )


def _durations(function: ast.AST) -> Iterator[tuple[int, float]]:
    """Each upper bound of a time that was measured: its line, and its seconds."""
    known = {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and _reads(node.value, set())
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if not isinstance(node, ast.Compare):
            continue
        for less, more in _ordered(node):
            if isinstance(more, ast.Constant) and isinstance(more.value, int | float) and _reads(less, known):
                yield node.lineno, float(more.value)


def _ordered(node: ast.Compare) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The pairs of a comparison by size, the smaller one first."""
    sides = [node.left, *node.comparators]
    for left, right, operator in zip(sides, sides[1:], node.ops, strict=False):
        if isinstance(operator, ast.Lt | ast.LtE):
            yield left, right
        elif isinstance(operator, ast.Gt | ast.GtE):
            yield right, left


def _functions(tree: ast.AST) -> list[ast.AST]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _impatient(tree: ast.AST) -> Iterator[int]:
    """Lines of ``eventually(…, what, seconds)`` with few seconds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "eventually":
            given = [*node.args[1:], *(each.value for each in node.keywords)]
            seconds = [each.value for each in given if isinstance(each, ast.Constant)]
            if any(isinstance(each, int | float) and each < LEAST_PATIENCE_S for each in seconds):
                yield node.lineno


def test_a_sleep_has_a_reason() -> None:
    """Where a state can be waited for, it is; the list has no entry for what is gone."""
    sleeping = {
        file
        for file, tree in _trees().items()
        if any(_named(node, frozenset({"sleep"})) for node in ast.walk(tree))
    }
    assert sleeping == set(MAY_SLEEP)


def test_no_time_is_bounded_tightly() -> None:
    """A bound on a time that was measured is at least ten seconds: it detects a wait without end, not slowness."""
    tight = {
        f"{file}:{line}: {seconds:g} s"
        for file, tree in _trees().items()
        for function in _functions(tree)
        for line, seconds in _durations(function)
        if seconds < LEAST_BOUND_S
    }
    assert tight == set()


def test_a_wait_for_a_condition_has_time_enough() -> None:
    """A minute at the least: patience costs nothing where all is well."""
    hasty = {f"{file}:{line}" for file, tree in _trees().items() for line in _impatient(tree)}
    assert hasty == set()


def _cut_off(tree: ast.AST) -> Iterator[int]:
    """Lines that give a program few seconds to end."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RUNS:
            given = [each.value for each in node.keywords if each.arg == "timeout"]
            seconds = [each.value for each in given if isinstance(each, ast.Constant)]
            if any(isinstance(each, int | float) and each <= LEAST_PATIENCE_S for each in seconds):
                yield node.lineno


def test_a_program_has_time_to_end() -> None:
    """Minutes, on a machine that does much else: only one that hangs is cut off."""
    hasty = {f"{file}:{line}" for file, tree in _trees().items() for line in _cut_off(tree)}
    assert hasty == set()


@pytest.mark.parametrize(
    ("code", "bounds"),
    [
        ("began = time.monotonic()\nassert time.monotonic() - began < 3", [3.0]),
        ("at = time.time()\nassert 5 >= heard - at", [5.0]),
        ("assert 0.5 < time.perf_counter() - began < 2", [2.0]),
        ("assert time.monotonic() - began >= 0.5", []),
        ("assert len(rows) < 3", []),
    ],
)
def test_these_tests_can_fail(code: str, bounds: list[float]) -> None:
    """What is looked for is found, in each way of writing it."""
    assert [seconds for _, seconds in _durations(ast.parse(code))] == bounds
