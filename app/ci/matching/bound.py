"""Whether the outputs that a callback names are those that its submission asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.ci.matching.asked import Asked, AskedOutput
from app.ci.report import Output, Report

_EXT_MAX = 10
_JOB_ID = re.compile(r"\$\{jobid\}", re.IGNORECASE)
_RUN_ID = re.compile(r"\$\{runid\}", re.IGNORECASE)
_EXT = re.compile(r"\$\{ext\}", re.IGNORECASE)


def were_asked_for(report: Report, asked: Asked) -> bool:
    """Whether the submission asked for each of these outputs, in that bucket and under that name.

    CI's ``${jobid}``, ``${RunId}`` and ``${ext}`` are filled in, in any case; a key with any other wildcard could be
    many names, so it matches no requested output.
    """
    wanted = [output for operation in asked.operations for output in operation.outputs]
    return len(report.outputs) <= len(wanted) and all(
        any(_is(output, each, report) for each in wanted) for output in report.outputs
    )


def are_in(outputs: Iterable[Output], buckets: frozenset[str]) -> bool:
    """Whether all of them lie in these buckets."""
    return bool(buckets) and all(each.bucket in buckets for each in outputs)


def _is(output: Output, wanted: AskedOutput, report: Report) -> bool:
    same_place = output.bucket == wanted.bucket and output.region in {None, wanted.region}
    return same_place and _fits(_filled(wanted.object, report).removeprefix("/"), output.object)


def _filled(key: str, report: Report) -> str:
    key = _JOB_ID.sub(lambda _: report.job_id, key)
    run_id = report.workflow.run_id if report.workflow else None
    return _RUN_ID.sub(lambda _: run_id, key) if run_id else key


def _fits(key: str, written: str) -> bool:
    """``${ext}`` is the same few letters wherever it stands, so their number follows from the lengths."""
    literals = _EXT.split(key)
    if any("${" in each for each in literals):
        return False
    times = len(literals) - 1
    if not times:
        return key == written
    length, left = divmod(len(written) - sum(map(len, literals)), times)
    ext = written[len(literals[0]) :][: max(0, length)]
    return not left and 1 <= length <= _EXT_MAX and ext.isalnum() and ext.join(literals) == written
