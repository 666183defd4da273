"""A collector of traces that prints its port, then each span that it receives as a line of JSON.

It runs in a process of its own, with the libraries of requirements-traces.txt: in the process of the tests redis-py
would import them.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(BaseHTTPRequestHandler):
    """POST /v1/traces, as in OTLP over HTTP."""

    def do_POST(self) -> None:
        sent = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
        for group in sent.resource_spans:
            facts = {each.key: each.value.string_value for each in group.resource.attributes}
            spans = [span for scope in group.scope_spans for span in scope.spans]
            for span in spans:
                said = MessageToDict(span) | {
                    "process": facts["ci.process"],
                    "service": facts["service.name"],
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                }
                sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print only spans, no access log."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
