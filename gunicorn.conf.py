"""How the web service is served. Further options: the GUNICORN_CMD_ARGS of the environment.

Nothing of the application is imported here: the master runs this file, and its workers would inherit what it has
imported, so that a reload (SIGHUP) would go on with old code.
"""

import gc
import os
import resource
import shutil
import sys
from functools import partial

try:
    # Before the first import of ours: it says which other module Python would take for one.
    import ci_callback_receiver
except ImportError as error:
    sys.exit(str(error))

from server import checked, metrics_folder

# A connection costs a file and no thread; the rest is left to Redis, logs and the like.
_files, _most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = max(_files, min(_most_files, 65536)) if _most_files != resource.RLIM_INFINITY else 65536
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _most_files))
worker_connections = max(100, min(10_000, _files - 500))
# The application reads it: clients that wait for a job leave a quarter of the connections to callbacks.
os.environ["WAITING_MAX"] = str(min(int(os.environ.get("WAITING_MAX", "5000")), worker_connections * 3 // 4))

# One message that names every fault, instead of a traceback from each worker.
checked.at_start()

# The workers' counters add up in files here; the metrics library reads the variable when it is imported. A reload
# keeps the folder; a new master (SIGUSR2) inherits the variable and needs a folder of its own, because the old master
# takes its own away when it ends.
_mine = os.environ.get("CI_METRICS_MASTER")
_owns_metrics = _mine is not None or "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _owns_metrics and _mine != str(os.getpid()):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder.make(checked.temporary_folder())
    os.environ["CI_METRICS_MASTER"] = str(os.getpid())

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "server.worker.Worker"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
timeout = 30
graceful_timeout = 20
# Also how long the head of a request may take.
keepalive = 10
worker_tmp_dir = checked.shared_memory()
# A request cannot say where we are mounted: PUBLIC_URL does.
forwarder_headers = ""
# The application writes its own access log: gunicorn's would hold callback tokens.
accesslog = None
logger_class = "server.log.MasterLog"
# Its place is one for all of this user's gunicorns on the machine.
control_socket_disable = True


def on_starting(server):
    """A reload that could not serve is refused before it has changed anything."""
    checked.guard_reload(server)


def when_ready(server):
    """A collection in a worker would write to the pages that it shares with the master, and copy them."""
    gc.collect()
    gc.freeze()


def post_fork(server, worker):
    """The worker serves with what was checked. Gunicorn's own words, tracebacks too, go the same way as ours: one
    format, no secrets."""
    # Until the worker serves: imports make no garbage.
    gc.disable()
    from gevent import events, monkey

    # gevent would search all installed packages for a plugin, for each of 25 events; none of ours is one.
    events.notify_and_call_entry_points = events.notify
    # Before the first import of the application, and of the libraries that keep sockets and locks.
    monkey.patch_all()

    from app import settings
    from app.core import logs, traces

    settings.hold(checked.held())
    chosen = settings.load()
    logs.configure("web", chosen.log_format, chosen.log_level)
    worker.log.error_log.handlers.clear()
    worker.log.error_log.propagate = True
    traces.open_traces("web")


def post_worker_init(worker):
    from app.web import lifecycle, problems

    worker.problem = problems.document
    worker.stopping = partial(lifecycle.stopping, worker.application)
    lifecycle.started(worker.application)
    gc.enable()
    worker.log.info("worker %d serves", worker.pid)


def worker_exit(server, worker):
    # One that could not load the application has nothing to stop, and may not even import this.
    if application := getattr(worker, "application", None):
        from app.core import traces
        from app.web import lifecycle

        lifecycle.stopped(application)
        traces.close_traces()


def child_exit(server, worker):
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    if _owns_metrics:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
