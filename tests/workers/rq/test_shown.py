"""What an operator sees of RQ with RQ's own tools, while relays and workers of ours are running."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rq import Queue
from rq.job import Job as RQJob
from rq.serializers import JSONSerializer

from app.settings import Settings
from harness.servers import eventually
from tests.workers.fleet import Fleet
from workers.rq.queue import job_description


def rq_info(settings: Settings) -> str:
    """The output of the command ``rq info`` of this environment."""
    command = [str(Path(sys.executable).with_name("rq")), "info", "--raw", "--url", settings.redis_url]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"COLUMNS": "120"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lane(settings: Settings) -> str:
    return f"{settings.key_prefix.strip(':')}:default"


def test_rq_info_names_the_lane_and_the_process(settings: Settings, tmp_path: Path) -> None:
    """``rq info`` shows the lane, that a batch of it is executing, and which process of which host executes it."""
    with Fleet(settings, tmp_path) as fleet:
        fleet.end("j1", "Long", "60")
        eventually(lambda: bool(fleet.notes("begin")), f"the run to begin: {fleet.logs()}")
        shown = rq_info(settings)
        run = fleet.run_of("j1")
    assert f"queue {lane(settings)} 0, 1 executing" in shown
    busy = re.findall(rf"worker (\S+?)-[0-9a-f]{{4}} \(.*\) busy {re.escape(lane(settings))}\.", shown)
    assert len(busy) == 1, shown
    host, _, _ = busy[0].rpartition("-")
    assert run is not None
    assert run.tries[-1]["worker"].rpartition("-")[0] == host, "the host that the history names"


def test_rq_jobs_are_described(settings: Settings, tmp_path: Path) -> None:
    """Each RQ job says how many runs it carries, in which lane, and the handler and event of the first."""
    with Fleet(settings, tmp_path, workers=0) as fleet:
        ids = [f"j{n}" for n in range(40)]
        for job_id in ids:
            fleet.end(job_id, "Quick")
        queue = Queue(lane(settings), connection=fleet.store.db.client, serializer=JSONSerializer)
        eventually(lambda: len(queue) > 0, f"a batch in the queue: {fleet.logs()}")
        shown, jobs = rq_info(settings), queue.jobs
        events = {run.event_id for job_id in ids if (run := fleet.run_of(job_id))}
    assert re.search(rf"queue {re.escape(lane(settings))} [1-9]", shown), shown
    assert jobs
    for job in jobs:
        assert isinstance(job, RQJob)
        pattern = r"(\d+) runs? in lane default, first: quick for event ([0-9a-f]+)"
        found = re.fullmatch(pattern, str(job.description))
        assert found, job.description
        assert int(found[1]) == len(job.args[0])
        assert found[2] in events


def test_a_description_holds_no_more_than_names() -> None:
    """A description has the number of runs, the lane, a handler and an event id, and nothing from a callback."""
    assert job_description(["e1|publish"]) == "1 run in lane default, first: publish for event e1"
    assert job_description(["e1|publish", "e2|x"]) == "2 runs in lane default, first: publish for event e1"
