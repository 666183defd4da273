"""Tests wait for conditions, not for fixed times, so that they pass on a busy machine."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from harness.servers import ROOT

MAY_SLEEP = {
    "harness/downstream.py": "sends an answer byte by byte",
    "harness/servers.py": "eventually() polls",
    "tests/callbacks.py": "callbacks at the rate of a busy day",
    "tests/api/test_jobs.py": "links are signed with the current second; the next one must begin",
    "tests/api/events/test_stream_examples.py": "a silence that is longer than the library's timeout",
    "tests/e2e/test_reload.py": "the master has time to fail after a refused reload",
    "tests/e2e/test_spool_crash.py": "kills at arbitrary moments",
    "tests/e2e/test_spool_trouble.py": "kills at arbitrary moments",
    "tests/docs/console.py": "repeats a command until it prints what the page shows",
    "tests/docs/test_how_to.py": "callbacks one after the other, until the upgrade is over",
    "tests/emulator/running.py": "eventually() polls",
    "tests/receiver/hostile/test_hostile_connections.py": "spaces packets",
    "tests/receiver/hostile/test_slow_and_idle.py": "spaces packets; a client that trickles",
    "tests/redis/test_durable.py": "the drainer has time to make the mistake",
    "tests/redis/test_sentinel.py": "a silence that is longer than the client's timeout",
    "tests/store/accept/test_accept_order.py": "kills at random moments",
    "tests/store/jobs/test_callback_url_life.py": "a lifetime of a millisecond must expire",
    "tests/store/jobs/test_retention.py": "kills at random moments",
    "tests/workers/lanes/lane_handlers.py": "handlers that take long, or hang",
    "tests/workers/relay/test_relay_stop.py": "spreads the load",
    "tests/workers/some_handlers.py": "handlers that take long, or hang",
    "tests/workers/test_outage.py": "an outage lasts that long, and must be logged only once",
    "tests/workers/test_recovery.py": "kills at random moments, and spreads the load",
}
"""Files that wait for a fixed time, and why. If such a wait is too short, a fault may go unnoticed, but the test must
not fail."""

CLOCKS = frozenset({"time", "monotonic", "perf_counter"})
FOLDERS = ("tests", "harness", "app", "workers")
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
    """Whether the expression reads a clock, or a variable that was set from one."""
    return any(
        _named(each, CLOCKS) or (isinstance(each, ast.Name) and each.id in known) for each in ast.walk(node)
    )


def _durations(function: ast.AST) -> Iterator[tuple[int, float]]:
    """Each upper bound on a measured time: its line and its seconds."""
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


def _called(node: ast.AST) -> tuple[str, str]:
    """The last name of the object whose method is called, and the method's name."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return "", ""
    where = node.func.value
    return getattr(where, "attr", getattr(where, "id", "")), node.func.attr


@cache
def _events() -> frozenset[str]:
    """The names of all events in tests and product: ``wait`` of other objects is no pause."""
    texts = (file.read_text() for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    trees = [ast.parse(text) for text in texts if "Event()" in text]
    return frozenset(name for tree in trees for name in _events_of(tree))


def _events_of(tree: ast.AST) -> Iterator[str]:
    """The names to which ``Event()`` is assigned, also in a tuple assignment."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            for name, value in zip(names, values, strict=False):
                if isinstance(value, ast.Call) and "Event" in {
                    _called(value)[1],
                    getattr(value.func, "id", ""),
                }:
                    yield getattr(name, "attr", getattr(name, "id", ""))


def _pauses(tree: ast.AST, events: frozenset[str]) -> Iterator[int]:
    """Lines that wait for a fixed time. ``assert event.wait(60)`` does not: it ends when the event comes."""
    awaited = {id(node.test) for node in ast.walk(tree) if isinstance(node, ast.Assert)}
    for node in ast.walk(tree):
        where, what = _called(node)
        if what == "wait_for_timeout" or _named(node, frozenset({"sleep"})):
            yield node.lineno  # type: ignore[attr-defined]
        elif isinstance(node, ast.Call) and what == "wait" and where in events and id(node) not in awaited:
            given = [*node.args, *(each.value for each in node.keywords)]
            if any(isinstance(each, ast.Constant) and isinstance(each.value, int | float) for each in given):
                yield node.lineno


def test_a_sleep_has_a_reason() -> None:
    """The files that wait for a fixed time are exactly those of ``MAY_SLEEP``."""
    assert {file for file, tree in _trees().items() if any(_pauses(tree, _events()))} == set(MAY_SLEEP)


def test_no_time_is_bounded_tightly() -> None:
    """An upper bound on a measured time is at least ten seconds: it detects a hang, not slowness."""
    tight = {
        f"{file}:{line}: {seconds:g} s"
        for file, tree in _trees().items()
        for function in _functions(tree)
        for line, seconds in _durations(function)
        if seconds < LEAST_BOUND_S
    }
    assert tight == set()


def test_a_wait_for_a_condition_has_time_enough() -> None:
    """``eventually`` waits for at least a minute before it fails: a long limit does not slow a test that passes."""
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
    """The limit is more than a minute, so that on a busy machine only a program that hangs is stopped."""
    hasty = {f"{file}:{line}" for file, tree in _trees().items() for line in _cut_off(tree)}
    assert hasty == set()


def _unready(tree: ast.AST) -> Iterator[int]:
    """Lines that start a web service and do not wait until it serves."""
    for node in ast.walk(tree):
        if _called(node) == ("web", "start"):
            yield node.lineno  # type: ignore[attr-defined]


def test_a_web_service_that_is_started_again_serves() -> None:
    """``Service.restart_web`` waits, and ends the workers of a killed master, which would answer in its place."""
    hasty = {f"{file}:{line}" for file, tree in _trees().items() for line in _unready(tree)}
    assert {each.partition(":")[0] for each in hasty} == {"harness/servers.py"}


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
def test_each_form_of_a_time_bound_is_found(code: str, bounds: list[float]) -> None:
    """Upper bounds on measured times are found in each form, and other comparisons are not."""
    assert [seconds for _, seconds in _durations(ast.parse(code))] == bounds


@pytest.mark.parametrize(
    ("code", "is_one"),
    [
        ("time.sleep(1)", True),
        ("page.wait_for_timeout(300)", True),
        ("assert not done.wait(0.2)", True),
        ("services.drainer._stop.wait(1.5)", True),
        ("while not self._over.wait(timeout=1): pass", True),
        ("if stop.wait(2): pass", True),
        ("assert done.wait(60), 'it came'", False),
        ("done.wait()", False),
        ("process.wait(10)", False),
        ("receiver.wait(4)", False),
    ],
)
def test_each_kind_of_pause_is_found(code: str, is_one: bool) -> None:
    """A wait for a fixed time is found in each form; a wait that ends with its condition is not."""
    assert any(_pauses(ast.parse(code), _events())) == is_one


@pytest.mark.parametrize(
    ("find", "code", "is_one"),
    [
        (_impatient, "eventually(it_is_there, 'it', 5)", True),
        (_impatient, "eventually(it_is_there, 'it', seconds=1.5)", True),
        (_impatient, "eventually(it_is_there, 'it')", False),
        (_impatient, "eventually(it_is_there, 'it', 90)", False),
        (_cut_off, "subprocess.run(command, timeout=5)", True),
        (_cut_off, "process.communicate(timeout=30)", True),
        (_cut_off, "subprocess.run(command, timeout=300)", False),
        (_cut_off, "subprocess.run(command)", False),
        (_unready, "service.web.start()", True),
        (_unready, "installed.web.web.start()", True),
        (_unready, "service.relay.start()", False),
    ],
)
def test_each_form_of_haste_is_found(
    find: Callable[[ast.AST], Iterator[int]], code: str, is_one: bool
) -> None:
    """A limit of a few seconds for a condition or a program, and a start without a wait; a long limit is not."""
    assert any(find(ast.parse(code))) == is_one
