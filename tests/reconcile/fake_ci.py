"""A CI whose answers a test chooses."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BAD = "j2"


class FakeCI(ThreadingHTTPServer):
    """Answers Success for every job that it is asked about, and something unreadable if j2 is among them."""

    odd = b""
    listing = b'{"JobsDetail": []}'
    """Each page of its list."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        super().__init__(("127.0.0.1", 0), _Answering)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def answer(self, ids: list[str]) -> bytes:
        self.asked.append(ids)
        if not ids:
            return self.listing
        good = ", ".join(json.dumps({"JobId": one, "State": "Success"}) for one in ids if one != BAD)
        if BAD not in ids:
            return b'{"JobsDetail": [%s]}' % good.encode()
        if b"%s" not in self.odd:
            return self.odd
        return (self.odd % good.encode()).replace(b"[, ", b"[")


class _Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, FakeCI)
        found = re.match(r"/jobs/([^?]*)", self.path)
        body = self.server.answer(found[1].replace("%2C", ",").split(",") if found else [])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
