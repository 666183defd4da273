"""How the web service is served. Further options: the GUNICORN_CMD_ARGS of the environment.

Nothing of the application is imported here: the master runs this file, and its workers would inherit what it has
imported, so that a reload (SIGHUP) would go on with old code.
"""

import os
import resource
import shutil
import signal
import tempfile

from server import checked

# One message that names every fault, instead of a traceback from each worker.
checked.at_start()

# The workers' counters add up in files here; the metrics library reads the variable when it is imported. A reload
# keeps the folder; a new master (SIGUSR2) inherits the variable and needs a folder of its own, because the old master
# takes its own away when it ends.
_mine = os.environ.get("CI_METRICS_MASTER")
_owns_metrics = _mine is not None or "PROMETHEUS_MULTIPROC_DIR" not in os.environ
if _owns_metrics and _mine != str(os.getpid()):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(
        prefix="ci-metrics-", dir=checked.temporary_folder()
    )
    os.environ["CI_METRICS_MASTER"] = str(os.getpid())

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "server.worker.Worker"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
# Threads are what waiting clients hold; a callback needs one for a few milliseconds. They are made when needed.
# The application reads the same variable, and limits waiting clients so that some threads are always free.
threads = int(os.environ.setdefault("WEB_THREADS", "600"))
timeout = 30
graceful_timeout = 20
keepalive = 5
worker_tmp_dir = checked.shared_memory()
# Connections that wait cost a file each, and no thread; the rest is left to Redis, logs and the like.
_files, _most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = max(_files, min(_most_files, 65536)) if _most_files != resource.RLIM_INFINITY else 65536
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _most_files))
worker_connections = max(100, min(10_000, _files - 500))
# Nobody's request says where we are mounted: PUBLIC_URL does.
forwarder_headers = ""
# The application writes its own access log: gunicorn's would hold callback tokens.
accesslog = None
# Its place is one for all of this user's gunicorns on the machine.
control_socket_disable = True


def on_starting(server):
    """A reload that could not serve is refused before it has changed anything."""
    checked.guard_reload(server)


def post_fork(server, worker):
    """The worker serves with what was checked. Gunicorn's own words, tracebacks too, go the same way as ours: one
    format, no secrets."""
    from app import settings
    from app.core import logs

    settings.hold(checked.held())
    logs.configure("web")
    worker.log.error_log.handlers.clear()
    worker.log.error_log.propagate = True


def post_worker_init(worker):
    """Clients that wait for a job are answered early when the process stops. Threads begin here, after the fork."""
    services = worker.wsgi.extensions["services"]
    finish = signal.getsignal(signal.SIGTERM)

    def stop(number, frame):
        services.tail.close()
        finish(number, frame)

    signal.signal(signal.SIGTERM, stop)
    if services.drainer:
        services.drainer.start()


def worker_exit(server, worker):
    """What this worker has spooled is handed over to the others."""
    # One that could not load the application has none.
    services = getattr(getattr(worker, "wsgi", None), "extensions", {}).get("services")
    if services and services.drainer:
        services.drainer.stop()


def child_exit(server, worker):
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    if _owns_metrics:
        shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
