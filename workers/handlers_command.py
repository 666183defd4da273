"""``python -m workers.handlers_command``: the process of ``flask handlers``, so that the web service never imports
handlers."""

from __future__ import annotations

import json
import sys
import time
import traceback
from typing import Any, NoReturn

import click
from msgspec.structs import replace

from app import store
from app.core.clock import now_ms, rfc3339
from app.settings import Settings, SettingsError, load
from app.store import Event, Job
from workers import check_outputs, declaration, registry
from workers.outputs import access_for, readable
from workers.registry import GiveUp, Handler, Later

_FAILED, _NOT_FOUND = 1, 3
_LIMITS = ("queue", "tries", "timeout")


@click.group("handlers")
@click.pass_context
def group(context: click.Context) -> None:
    """The handlers of HANDLERS."""
    chosen = load(for_command=True)
    registry.import_handlers(chosen.handlers)
    context.obj = chosen


@group.command("list")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_handlers(chosen: Settings, json_wanted: bool) -> None:
    """List the declared handlers, their events and limits."""
    check_outputs.install_for_list(chosen)
    found = [_shown(each) for each in registry.declared_handlers()]
    if json_wanted:
        click.echo(json.dumps({"handlers": found}, indent=2, ensure_ascii=False))
        return
    for each in found:
        words = [f"{name}={','.join(each[name])}" for name in ("on", "tag", "state") if each[name]]
        words += [
            f"{name}={each[name]:g}" if name == "timeout" else f"{name}={each[name]}" for name in _LIMITS
        ]
        click.echo("  ".join((each["name"], *words)))


def _shown(each: Handler) -> dict[str, Any]:
    return {
        "name": each.name,
        "on": sorted(each.on),
        "tag": sorted(each.tags),
        "state": sorted(each.states),
        "queue": each.queue,
        "tries": each.tries,
        "timeout": each.timeout,
        "backoff": each.backoff,
        "backoff_max": each.backoff_max,
    }


@group.command("run")
@click.argument("name")
@click.argument("job_id")
@click.option("--event", "chosen_event", help="A stored event of the job; default: its latest news.")
@click.pass_obj
def run(chosen: Settings, name: str, job_id: str, chosen_event: str | None) -> None:
    """Run one handler on a stored job, in the foreground: no run is recorded, and nothing is tried again."""
    from app.services import Services

    check_outputs.install(chosen)
    handler = registry.get(name) or _only_match(name)
    services = Services.open(chosen, timeout=10)
    known = services.store.jobs.known([job_id])[job_id]
    now = services.store.jobs.get(job_id)
    if now is None:
        _end(f"There is no job {job_id} here.", _NOT_FOUND)
    if chosen_event:
        event = services.store.runs.event(chosen_event)
        if event is None or event.job_id != job_id:
            _end(
                f"The job has no stored event {chosen_event}; events are stored while they have runs.",
                _NOT_FOUND,
            )
        job = services.store.jobs.at(event, known)
    else:
        job, event = now, _latest(now)
    event = replace(event, labels=job.labels)
    access = access_for(services.store, services.provider, chosen.link_seconds, event, job)
    _call(handler, event, readable(job, access))


def _only_match(name: str) -> Handler:
    """The handler whose name ends so, if there is only one."""
    found = [each for each in registry.declared_handlers() if each.name.rpartition(".")[2] == name]
    if len(found) != 1:
        _end(f"No handler is called {name!r}; there are: {', '.join(registry.handler_names())}", _NOT_FOUND)
    return found[0]


def _latest(job: Job) -> Event:
    """An event for the job as it is now, as a replay makes one."""
    from app.store.accept.identity import event_id

    report = job.report
    return Event(
        event_id=event_id(job.job_id, report.digest),
        job_id=job.job_id,
        kind=job.source or "callback",
        state=job.state,
        tag=job.tag,
        version=job.version,
        at=job.updated_at or rfc3339(now_ms()),
        entry=0,
        report=report.to_dict(),
    )


def _call(handler: Handler, event: Event, job: Job) -> None:
    started = time.monotonic()
    call: Any = handler.function
    try:
        answer = call(event, job)
    except (GiveUp, Later) as error:
        _end(f"{handler.name} raised {type(error).__name__}: {error}", _FAILED)
    except Exception:
        traceback.print_exc()
        _end(f"{handler.name} failed after {_ms(started)} ms.", _FAILED)
    if declaration.returned_unawaited(answer):
        kind = type(answer).__name__
        _end(f"{handler.name} returned a {kind} that is not awaited, so nothing has run.", _FAILED)
    click.echo(f"{handler.name} is done in {_ms(started)} ms.", err=True)


def _ms(started: float) -> int:
    return int((time.monotonic() - started) * 1000)


def _end(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    raise SystemExit(code)


def main() -> int:
    try:
        group(prog_name="flask handlers")
    except SettingsError as error:
        click.echo(error.message, err=True)
        return error.exit_code
    except store.UNAVAILABLE as error:
        click.echo(f"Redis is unavailable: {error}", err=True)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
