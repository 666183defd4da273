"""Spans of requests and of their events, by OpenTelemetry; off unless its own ``OTEL_…`` variables name a collector.

Off, a span is one call that returns a constant, and no module of OpenTelemetry is imported here. Its libraries are an
extra (requirements-traces.txt): redis-py imports them wherever they are installed.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Literal

from app.core.logs import LOG_FIELDS
from app.core.processes import RELEASE

log = logging.getLogger(__name__)

SpanKind = Literal["server", "client", "consumer", "internal"]

_CLOSE_S = 2.0
"""How long the end of a process waits for a collector that does not answer."""


class TraceStep:
    """The attributes of one step. This class is used if traces are off: it accepts any attributes and stores none."""

    traceparent = ""
    """W3C's header for what this step asks others to do, or empty."""

    def tell(self, fields: Mapping[str, Any]) -> None:
        """Attributes ``ci.<name>``: of the fields that logs have too (``LOG_FIELDS``), so that neither can hold what
        the other must not. Others are ignored."""

    def fail(self, what: str) -> None:
        """The step failed: a word of ours, or the name of an exception; never its text, which is anyone's."""

    def __enter__(self) -> TraceStep:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was begun."""


NO_SPAN: Final = TraceStep()


class _Opened:
    provider: Any = None
    """``None`` where traces are off."""


_opened = _Opened()


class _Recorded(TraceStep):
    def __init__(self, recording: Any) -> None:
        self._recording = recording
        seen = recording.get_span_context()
        self.traceparent = f"00-{seen.trace_id:032x}-{seen.span_id:016x}-{seen.trace_flags:02x}"

    def tell(self, fields: Mapping[str, Any]) -> None:
        for name in LOG_FIELDS:
            if (value := fields.get(name)) is not None:
                self._recording.set_attribute(f"ci.{name}", value)

    def fail(self, what: str) -> None:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where traces are on

        self._recording.set_status(StatusCode.ERROR, what)


def are_wanted() -> bool:
    """By the standard variables: an OTLP endpoint is named, and nothing says that traces, or all of it, are off."""
    given = os.environ.get
    if given("OTEL_SDK_DISABLED", "").lower() == "true" or given("OTEL_TRACES_EXPORTER", "otlp") != "otlp":
        return False
    return bool(given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or given("OTEL_EXPORTER_OTLP_ENDPOINT"))


def prepare() -> None:
    """Import what ``open_traces`` needs, for a process that forks: it may have no threads, and its children no time."""
    if are_wanted():
        _imported()


def open_traces(process: str) -> None:
    """Spans of this process go to the collector from now on, if they are wanted. Without the libraries an error says
    what to install, and work goes on: no callback is lost for the want of a trace."""
    if _opened.provider is None and are_wanted() and (make := _imported()):
        _opened.provider = make(process)


def close_traces() -> None:
    """Send what is left, for ``_CLOSE_S`` at most."""
    if _opened.provider is None:
        return
    closing = threading.Thread(target=_opened.provider.shutdown, name="traces", daemon=True)
    _opened.provider = None
    closing.start()
    closing.join(_CLOSE_S)


def span(
    name: str, kind: SpanKind = "internal", within: str | None = None
) -> AbstractContextManager[TraceStep]:
    """One step. It is part of the step around it; with ``within``, a ``traceparent`` (its form was checked), of that
    one; with an empty one it begins a trace."""
    return NO_SPAN if _opened.provider is None else _recorded(name, kind, within)


def current_step() -> TraceStep:
    """The step that this thread or greenlet is in."""
    if _opened.provider is None:
        return NO_SPAN
    from opentelemetry.trace import get_current_span  # noqa: PLC0415 - only where traces are on

    found = get_current_span()
    return _Recorded(found) if found.get_span_context().is_valid else NO_SPAN


@contextmanager
def _recorded(name: str, kind: SpanKind, within: str | None) -> Iterator[TraceStep]:
    from opentelemetry import trace  # noqa: PLC0415 - only where traces are on

    tracer = _opened.provider.get_tracer("ci-callback-receiver", RELEASE)
    with tracer.start_as_current_span(
        name,
        None if within is None else _context(within),
        trace.SpanKind[kind.upper()],
        record_exception=False,
        set_status_on_exception=False,
    ) as recording:
        step = _Recorded(recording)
        try:
            yield step
        except BaseException as error:
            step.fail(type(error).__name__)
            raise


def _context(traceparent: str) -> Any:
    from opentelemetry import context, trace  # noqa: PLC0415 - only where traces are on

    if not traceparent:
        return context.Context()
    _, trace_id, span_id, flags = traceparent.split("-")
    seen = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(int(flags, 16)))
    return trace.set_span_in_context(trace.NonRecordingSpan(seen), context.Context())


def _imported() -> Callable[[str], Any] | None:
    try:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        log.error(
            "traces are switched on (OTEL_EXPORTER_OTLP_ENDPOINT), but a library is missing (%s); going on without. "
            "Install requirements-traces.txt, or unset the variable",
            error.name,
        )
        return None

    def make(process: str) -> Any:
        facts = {"service.version": RELEASE, "ci.process": process}
        if "OTEL_SERVICE_NAME" not in os.environ:
            facts["service.name"] = "ci-callback-receiver"
        provider = TracerProvider(resource=Resource.create(facts), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        # What a handler of a user's begins is part of its run.
        trace.set_tracer_provider(provider)
        return provider

    return make
