"""How the web service is served. Further options: the GUNICORN_CMD_ARGS of the environment."""

import os
import shutil
import signal
import socket
import struct
import sys
import tempfile

from app.settings import SettingsError, load

# One message that names every fault, instead of a traceback from each worker.
try:
    _settings = load()
except SettingsError as error:
    sys.exit(error.message)

# The workers' counters add up in files here; the metrics library reads the variable when it is imported.
_owns_metrics = "PROMETHEUS_MULTIPROC_DIR" not in os.environ
os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(prefix="ci-metrics-"))

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Threads are what waiting clients hold; a callback needs one for a few milliseconds.
threads = _settings.web_threads
timeout = 30
graceful_timeout = 20
keepalive = 5
# The application writes its own access log: gunicorn's would hold callback tokens.
accesslog = None

_SLOWEST_READ_S = 10


def on_starting(server):
    """Gunicorn's own words go through the same filter as ours."""
    from app import logs

    logs.configure("web")
    server.log.error_log.addFilter(logs.Redact())


def when_ready(server):
    """A client that sends nothing more is let go: connections inherit the time-out of the listener."""
    limit = struct.pack("ll", _SLOWEST_READ_S, 0)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        # One that reads nothing of what it asked for, too: a stream would hold its thread for ever.
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def post_worker_init(worker):
    """Whoever waits for a job is answered early when the process is told to stop."""
    services = worker.wsgi.extensions["services"]
    finish = signal.getsignal(signal.SIGTERM)

    def stop(number, frame):
        services.tail.close()
        finish(number, frame)

    signal.signal(signal.SIGTERM, stop)


def child_exit(server, worker):
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    if _owns_metrics:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
