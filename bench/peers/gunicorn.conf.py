"""The same server, workers and threads as ours, without the rest of our configuration."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
worker_class = os.environ.get("BENCH_WORKER_CLASS", "gthread")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 32
keepalive = 5
