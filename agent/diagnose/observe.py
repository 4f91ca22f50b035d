# SPDX-License-Identifier: Apache-2.0
"""Looking at a machine from every side at once, for as long as there is time. Nothing is changed, nothing is judged.

Each look is one function, beside all others: a disk that hangs, or a server that is silent, costs only its own fact.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.diagnose.look import around, boot, itself
from agent.diagnose.seen import Seen
from agent.host.doors import Host
from agent.host.identity import boot_id
from agent.inventory import take
from agent.inventory.hardware.sensors import memory_errors
from agent.inventory.side_by_side import side_by_side
from agent.model.network import NetworkConfig
from agent.networking import Networking

Look = Callable[[], object]
LATE_S = 0.5
"""From the end of the looks that wait to the end of all: what they found has to arrive."""


def observe(host: Host, look_s: float, listen_s: float = 0.0) -> Seen:
    """All that can be seen in that time. It raises no `AgentError`."""
    place = itself.place(host)
    waits_s = look_s * 0.7
    plain: dict[str, Look] = {
        "is_root": lambda: itself.may_ask(host.files),
        "boot_id": lambda: boot_id(host.files),
        "inventory": lambda: take(host),
        "jobs": lambda: itself.jobs(host.files, place),
        "reports": lambda: itself.reports(host.files, place),
        "desired": lambda: itself.desired(host.files, place),
        "remembered": lambda: itself.remembered_network(host.files, place),
        "status": lambda: itself.status(host.files, place),
        "units": lambda: itself.units(host.run),
        "endings": lambda: itself.endings(host.run),
        "spaces": lambda: itself.spaces(host.files, place),
        "complaints": lambda: boot.complaints(host.run),
        "health": lambda: boot.health(host, waits_s),
        "memory_errors": lambda: memory_errors(host.files),
        "disk_states": lambda: boot.disk_states(host.files),
        "booting": lambda: boot.booting(host),
        "network": lambda: Networking(host).network_state(NetworkConfig()),
        "gateways": lambda: around.gateways(host, waits_s),
        "name_servers": lambda: around.name_servers(host, waits_s),
        "ladders": lambda: around.ladders(host, place.controllers, waits_s),
    }
    if listen_s > 0:
        plain["neighbours"] = lambda: around.neighbours(host, listen_s)
    found = side_by_side(plain, max(look_s, listen_s + LATE_S if listen_s else 0.0))
    return Seen(now=host.clock.now(), place=place, **found)  # type: ignore[arg-type] # each brings its field
