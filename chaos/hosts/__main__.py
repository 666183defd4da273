"""``python -m chaos.hosts``: send and inject faults on several hosts, wait, verify, report."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from app.core.tokens import Binding, mint
from app.services import Services
from chaos import plan, report
from chaos.calm import is_calm, until
from chaos.downstream import CountingEndpoint
from chaos.hosts import LOST, TITLE
from chaos.hosts.cluster import Cluster
from chaos.hosts.fleet import PORT, Fleet
from chaos.hosts.network import US, VirtualNetwork
from chaos.hosts.rounds import BACK_WITHIN_S, FaultInjector, ReceiverOutage, outages, rounds
from chaos.sender import Sender
from chaos.settings import settings_of
from chaos.verify import verify

_READY_S = 60
_CALM_S = 90


def main() -> int:
    """Arguments: number of callbacks, seconds, seed, folder. The report goes to stdout."""
    callbacks, seconds, seed, folder = sys.argv[1:]
    try:
        good, text = run_on_several_hosts(int(callbacks), float(seconds), int(seed), Path(folder))
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(text)
    return 0 if good else 1


def run_on_several_hosts(callbacks: int, seconds: float, seed: int, folder: Path) -> tuple[bool, str]:
    """Whether all checks passed, and the report."""
    # Temporary files of the processes are removed with the folder.
    os.environ["TMPDIR"] = str(folder)
    network = VirtualNetwork()
    cluster = Cluster([network.host(f"redis-{n}") for n in (1, 2, 3)], folder)
    receivers = [network.host(f"receiver-{n}") for n in (1, 2)]
    downstream = CountingEndpoint(random.Random(seed), US)
    settings = settings_of(
        cluster.url,
        f"http://{receivers[0].front}:{PORT}",
        f"{US}:{downstream.port}",
        f"{US}/32",
        durability="replicated",
    )
    until(cluster.primary, "a primary with two replicas online", _READY_S)
    fleet = Fleet(receivers, [network.host(f"worker-{n}") for n in (1, 2)], settings, folder)
    try:
        until(fleet.is_ready, "the service to be ready", _READY_S)
        chance = random.Random(seed)
        messages = plan.messages(callbacks, chance)
        path = f"/callbacks/{mint(Binding(name='chaos'), settings.callback_keys)}"
        sender = Sender([(host.front, PORT) for host in receivers], path, 32, random.Random(seed))
        injector = FaultInjector(network, cluster, receivers, random.Random(seed))
        over, planned = threading.Event(), rounds(seconds, chance)
        breaking = threading.Thread(target=injector.run, args=(planned, over))
        breaking.start()
        began = time.monotonic()
        sent = sender.send(messages, seconds)
        sending_s = time.monotonic() - began
        over.set()
        breaking.join()
        store = Services.open(settings, timeout=5).store
        calm_s = until(lambda: is_calm(store, fleet.spools), "all queues to be empty", _CALM_S)
        verdict = verify(store, sent.answered, fleet.notes, downstream.seen)
        found = outages(injector.faults, receivers, sent.answers)
        numbers = report.answers(sent) | _lines(found) | report.took(sending_s, calm_s, downstream)
        head = f"seed {seed}, {callbacks} callbacks over {seconds:g} s, DURABILITY=replicated"
        head += f"; {LOST} {folder}" * bool(verdict.lost)
        in_time = len(injector.faults) == len(planned) and all(each.in_time for each in found)
        text = report.render_page(TITLE, head, len(messages), numbers, verdict)
        text += f"ACCEPTING AGAIN WITHIN {BACK_WITHIN_S:g} s: {'yes' if in_time else 'NO'}\n"
        return in_time and not verdict.lost, text
    finally:
        fleet.close()
        cluster.close()
        downstream.close()


def _lines(found: Sequence[ReceiverOutage]) -> dict[str, str]:
    """One line for each receiver in each round."""
    return {f"{each.fault.kind}, {each.receiver.name}": _line(each) for each in found}


def _line(outage: ReceiverOutage) -> str:
    fault = outage.fault
    back = "never" if outage.back_s is None else f"after {outage.back_s:.1f} s"
    spooled = "nothing" if outage.spooled_until_s is None else f"until {outage.spooled_until_s:.1f} s"
    side = ", on the same side of the partition" if outage.receiver == fault.isolated_receiver else ""
    return f"{fault.primary.name} for {fault.ended - fault.began:.0f} s{side}; accepted {back}, spooled {spooled}"


if __name__ == "__main__":
    sys.exit(main())
