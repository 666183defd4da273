"""``flask submit voice-separate --from``: many jobs from one file."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn

import click

from app.ci.matching.asked import asked
from app.ci.outgoing.rules.broken import violations_of
from app.cli.options import together
from app.cli.output import CI_FAULT, REFUSED, bar, fail, say, show_json
from app.cli.submit.found_at import in_row
from app.core.logs import plain
from app.documents.submissions import RowView, warnings_of
from app.services import Services
from app.store.audit.audit_list import JOBS_MAX, SUBMIT
from app.submitter.columns import UnreadableFile
from app.submitter.cost import Lengths
from app.submitter.draft import defaults, draft
from app.submitter.many import Many, RunControl, checked
from app.submitter.old_journal import take_over
from app.submitter.pace import Pace
from app.submitter.rows import Row, RowResult, read_csv, read_json_lines
from app.web.acts import acting
from app.web.describe import text_of

PARTLY, STOPPED = 1, 130
_SHOWN = 10


class Chosen(NamedTuple):
    """The options that only many jobs have."""

    source: str | None
    report: Path | None
    parallel: int
    rate: float | None
    max_jobs: int | None


NONE = Chosen(None, None, 8, None, None)
options = together(
    click.option(
        "--from",
        "source",
        metavar="FILE",
        help="Submit every row of a CSV (columns: input.object, output.au_object, label.NAME, …; "
        "separated by commas, semicolons or tabs), or of JSON lines "
        "(.jsonl, .ndjson, or `-`: standard input). See docs/submitting.md.",
    ),
    click.option(
        "--report",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        help="The result of every row and the reason: a CSV, or JSON lines if the name ends in .jsonl.",
    ),
    click.option(
        "--parallel",
        default=NONE.parallel,
        show_default=True,
        type=click.IntRange(1, 64),
        help="How many at a time.",
    ),
    click.option(
        "--rate", type=click.FloatRange(0, min_open=True), help="Maximum number of requests per second."
    ),
    click.option(
        "--max",
        "max_jobs",
        type=click.IntRange(0),
        help="Maximum number of jobs that this file may cost: with more of them nothing is sent.",
    ),
)


def run(services: Services, chosen: Chosen, common: dict[str, Any], dry_run: bool, json_wanted: bool) -> None:
    """Submit all rows, and exit with the code of the result."""
    rows = _read(chosen, common)
    many = Many(services, _run_name(services, rows, chosen), Pace(chosen.rate))
    if dry_run:
        _try_out(services, many, rows, chosen)
    if why := _over_budget(services, many, rows, chosen):
        fail(f"{chosen.source}: {why}", REFUSED)
    results: list[RowResult] = []
    control = RunControl()
    try:
        with acting(SUBMIT, file=chosen.source, tag=common.get("tag")) as doing:
            try:
                _submit(many.run(rows, chosen.parallel, control), len(rows), results, json_wanted)
            finally:
                doing.job_ids += islice((each for row in results for each in row.job_ids), JOBS_MAX)
                doing.did(rows=len(rows), **Counter[str](result.status for result in results))
    except KeyboardInterrupt:
        control.end("It was interrupted.")
        _conclude(rows, results, control, chosen, STOPPED)
    except Exception as error:
        control.end(f"{type(error).__name__}: the rest was not tried.")
        _summary(rows, results, control, chosen)
        raise
    _conclude(rows, results, control, chosen, _code(control))


def _code(control: RunControl) -> int:
    if control.is_over_budget:
        return REFUSED
    return CI_FAULT if control.stop_reason else 0


def _over_budget(services: Services, many: Many, rows: list[Row], chosen: Chosen) -> str | None:
    """Why the file may not be sent: it would cost more jobs than --max, or than are left for the day."""
    left = _left_today(services)
    limit = min(each for each in (chosen.max_jobs, left, sys.maxsize) if each is not None)
    if sum(map(_most_jobs, rows)) <= limit:
        return None
    jobs = sum(len(list(request.each())) for _, request in many.unsent(rows))
    if jobs <= limit:
        return None
    if limit == chosen.max_jobs:
        return f"it would be {jobs} paid jobs, and --max allows {limit}. Nothing was sent."
    return (
        f"it would be {jobs} paid jobs, and {limit} are left for today: SUBMIT_MAX_PER_DAY is "
        f"{services.settings.submit_max_per_day} (UTC). Nothing was sent."
    )


def _left_today(services: Services) -> int | None:
    most = services.settings.submit_max_per_day
    return None if most is None else max(0, most - services.store.submissions.sent_today())


def _most_jobs(row: Row) -> int:
    """Without looking at the rules, which takes longer."""
    operations = row.data.get("operations") if isinstance(row.data, dict) else None
    return len(operations) if isinstance(operations, list) else 1


def _read(chosen: Chosen, common: dict[str, Any]) -> list[Row]:
    source = chosen.source or "-"
    try:
        with click.open_file(source, encoding="utf-8-sig") as file:
            rows = (read_json_lines if _is_lines(chosen) else read_csv)(file, common)  # type: ignore[arg-type]
    except (UnreadableFile, OSError) as error:
        fail(f"{source}: {error}", REFUSED)
    if not rows:
        fail(f"{source} holds no rows.", REFUSED)
    return rows


def _is_lines(chosen: Chosen) -> bool:
    """JSON lines, and not a CSV."""
    return chosen.source == "-" or Path(chosen.source or "").suffix.lower() in {".jsonl", ".ndjson"}


def _run_name(services: Services, rows: list[Row], chosen: Chosen) -> str:
    """A file's path, so that its rows keep their identity when some are added or corrected; standard input is known
    by all of its rows. A file that an earlier release began continues that run."""
    if chosen.source == "-":
        return hashlib.sha256(" ".join(row.key for row in rows).encode()).hexdigest()
    journal = Path(f"{chosen.source}.journal")
    return take_over(journal, services.store.idempotency) or str(Path(chosen.source or "").resolve())


def _submit(found: Iterable[RowResult], count: int, results: list[RowResult], json_wanted: bool) -> None:
    """Job ids on standard output as they come; a bar on standard error, where it has a screen to itself."""
    with bar(range(count), "submitting", among_results=True) as progress:
        for result in found:
            results.append(result)
            progress.update(1)
            if json_wanted:
                show_json(_line(result), indent=None)
            elif result.status == "submitted":
                click.echo(f"{result.row.number}\t{plain(' '.join(result.job_ids))}")


def _try_out(services: Services, many: Many, rows: list[Row], chosen: Chosen) -> NoReturn:
    """Print the XML of every row that can be sent, the rules that the others break, and what it would cost."""
    results = [_tried_out(services, row) for row in rows]
    _report(chosen.report, results)
    ready = sum(result.status == "ready" for result in results)
    click.echo(f"{ready} of {len(rows)} rows can be sent; nothing was.", err=True)
    unsent = [request for _, request in many.unsent(rows)]
    if len(unsent) < ready:
        click.echo(f"{ready - len(unsent)} of them were submitted before.", err=True)
    given = defaults(services.settings)
    click.echo(f"It would be {Lengths(services.store).cost_of(asked(r, given) for r in unsent)}.", err=True)
    if why := _over_budget(services, many, rows, chosen):
        click.echo(f"It would be refused: {why}", err=True)
    _show_doubts(results)
    _show_trouble(results, chosen)
    sys.exit(PARTLY if ready < len(rows) else 0)


def _tried_out(services: Services, row: Row) -> RowResult:
    request = checked(row, defaults(services.settings))
    if isinstance(request, RowResult):
        return request
    made = draft(services.settings, request)
    click.echo(made.xml)
    return RowResult(row, "ready", broken=made.warnings)


def _conclude(
    rows: list[Row], results: list[RowResult], control: RunControl, chosen: Chosen, code: int
) -> NoReturn:
    _summary(rows, results, control, chosen)
    complete = len(results) == len(rows) and all(r.status in {"submitted", "before"} for r in results)
    sys.exit(code or (0 if complete else PARTLY))


def _summary(rows: list[Row], results: list[RowResult], control: RunControl, chosen: Chosen) -> None:
    _report(chosen.report, results)
    counts = Counter(result.status for result in results)
    words = {
        "submitted": "submitted",
        "before": "submitted before",
        "lost": "CI's answer lost, being searched for",
        "refused": "break rules, not sent",
        "failed": "refused by CI",
    }
    parts = [f"{counts[status]} {word}" for status, word in words.items() if counts[status]]  # type: ignore[index]
    if len(results) < len(rows):
        parts.append(f"{len(rows) - len(results)} not tried")
    click.echo(f"{len(rows)} rows: {', '.join(parts)}.", err=True)
    if control.stop_reason:
        click.echo(f"Stopped: {control.stop_reason} Run the same command again to continue.", err=True)
    _show_doubts(results)
    _show_trouble(results, chosen)


def _show_doubts(results: list[RowResult]) -> None:
    """Only how many, by word: thousands of rows are mostly doubtful for the same reason."""
    doubtful = [result for result in results if _doubts(result)]
    if doubtful:
        words = Counter(each["word"] for result in doubtful for each in _doubts(result))
        counts = ", ".join(f"{count} of [{word}]" for word, count in words.most_common())
        click.echo(
            f"warnings: {len(doubtful)} rows are doubtful: {counts}. --report FILE holds each.", err=True
        )


def _show_trouble(results: list[RowResult], chosen: Chosen) -> None:
    trouble = sorted(
        (r for r in results if r.status not in {"submitted", "before", "ready"}), key=lambda r: r.row.number
    )
    for result in trouble[:_SHOWN]:
        say(f"{_place(result.row, chosen)}: {result.status}: {_why_here(result, chosen)}", err=True)
    if len(trouble) > _SHOWN:
        click.echo(f"… and {len(trouble) - _SHOWN} more: --report FILE holds all.", err=True)


def _place(row: Row, chosen: Chosen) -> str:
    return f"line {row.line}" if _is_lines(chosen) else f"line {row.line}, row {row.number}"


def _why_here(result: RowResult, chosen: Chosen) -> str:
    broken = in_row(result.broken, result.row, has_columns=not _is_lines(chosen))
    return result.error or _joined(violations_of(broken, "error"))


def _why(result: RowResult) -> str:
    return result.error or _joined(violations_of(result.broken, "error"))


def _doubts(result: RowResult) -> list[dict[str, str]]:
    return violations_of(result.broken, "warning")


def _joined(rules: list[dict[str, str]]) -> str:
    return "; ".join(f"{r['field']}: {r['rule']} [{r['word']}]" if r["field"] else r["rule"] for r in rules)


def _line(result: RowResult) -> RowView:
    return RowView(
        row=result.row.number,
        input_object=result.row.input_object,
        user_data=result.row.user_data,
        status=result.status,
        job_ids=list(result.job_ids),
        submission=result.submission,
        why=_why(result) or None,
        ci_code=result.ci_code,
        ci_request_id=result.ci_request_id,
        warnings=warnings_of(result.broken),
    )


def _report(path: Path | None, results: list[RowResult]) -> None:
    if path is None:
        return
    lines = [_line(result) for result in sorted(results, key=lambda r: r.row.number)]
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() in {".jsonl", ".ndjson"}:
            file.writelines(text_of(line) + "\n" for line in lines)
        else:
            _as_csv(file, lines)


def _as_csv(file: IO[str], lines: list[RowView]) -> None:
    writer = csv.DictWriter(file, RowView.model_fields)
    writer.writeheader()
    for line in lines:
        warnings = _joined([each.model_dump() for each in line.warnings])
        writer.writerow(line.model_dump() | {"job_ids": " ".join(line.job_ids), "warnings": warnings})
