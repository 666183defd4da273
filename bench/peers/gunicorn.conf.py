"""The same server as ours, without what our own configuration adds."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
worker_class = os.environ.get("BENCH_WORKER_CLASS", "gthread")
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 32
keepalive = 5
