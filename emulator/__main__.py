"""`python -m emulator`: serve until SIGTERM or SIGINT.

Served by Werkzeug's threaded server, for two reasons. A connection that is hung on purpose costs a thread of
its own and not one of a fixed pool, so the emulator stays responsive however many it holds. And it is all one
process: killing it kills everything, with no master or worker left to hold the port.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TYPE_CHECKING

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from emulator.faults import FaultError
from emulator.http.server import create_app
from emulator.settings import parse
from emulator.state import Emulator

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)


class Handler(WSGIRequestHandler):
    """One request, not logged: Werkzeug's line would hold the query, with a presigned URL's signature."""

    disable_nagle_algorithm = True

    def make_environ(self) -> WSGIEnvironment:
        """With the target as it was sent: http.server leaves one of several slashes in front, which a key may have."""
        environ = super().make_environ()
        environ["REQUEST_URI"] = self.requestline.split()[1]
        return environ

    def send_response(self, code: int, message: str | None = None) -> None:
        """The status line and the date; Server is CI's or COS's to say."""
        self.send_response_only(code, message)
        self.send_header("Date", self.date_time_string())

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002  the name is the base class's
        """What the server itself has to say, without what it quotes of a request."""
        log.warning("a connection could not be served (%s)", type)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main() -> int:
    """Serve; the exit code is 0, or 2 where the command line or the port will not do."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # its warnings have URLs in them
    options = parse()
    try:
        emulator = Emulator(options)
    except FaultError as fault:
        log.error("--fault: %s", fault)
        return 2
    server = ThreadedWSGIServer(options.host, options.port, create_app(emulator), handler=Handler)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    emulator.engine.start()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    log.info("emulator: http://%s:%d, state in %s", options.host, server.server_port, options.data)
    stop.wait()
    # Connections that are hung on purpose are left to the end of the process; so is a callback under way,
    # which the next start sends again.
    server.shutdown()
    server.server_close()
    emulator.database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
