# SPDX-License-Identifier: Apache-2.0
"""The bundle that an operator makes: the logs' archive, with findings, the network, and what the agent remembers.

In: a host and a limit. Out: the archive and its manifest. What the agent remembers is told by its models, of requests
their names alone: they hold what is secret.
"""

from __future__ import annotations

from collections.abc import Callable
from json import dumps

from agent.diagnose import diagnose
from agent.diagnose.look import itself
from agent.diagnose.text import lines
from agent.host.doors import Host
from agent.inventory.logs import Texts, collected, sources
from agent.model.bundle import Manifest
from agent.model.network import NetworkConfig
from agent.networking import Networking


def packed(host: Host, limit_bytes: int) -> tuple[bytes, Manifest]:
    """All of it. It never raises an `AgentError`."""
    return collected(host, {**sources(host), **ours(host)}, limit_bytes)


def ours(host: Host) -> dict[str, Callable[[], Texts]]:
    """What only the agent knows."""
    return {
        "findings": lambda: findings(host),
        "network.json": lambda: {
            "network.json": Networking(host).network_state(NetworkConfig()).model_dump_json(indent=1)
        },
        "jobs.json": lambda: jobs(host),
        "desired.json": lambda: desired(host),
    }


def findings(host: Host) -> Texts:
    """For programs, and for people."""
    found = diagnose(host)
    return {
        "findings.json": found.model_dump_json(indent=1),
        "findings.txt": "".join(f"{line.text}\n" for line in lines(found, None)),
    }


def jobs(host: Host) -> Texts:
    """The journal."""
    here = itself.place(host)
    told = [
        {
            "request_id": job.request_id,
            "verb": job.verb,
            "state": job.state.value,
            "step": job.step,
            "disks": [str(disk) for disk in job.disks],
            "fault": job.fault.model_dump() if job.fault else None,
            "result": job.result,
        }
        for job in itself.jobs(host.files, here)
    ]
    return {"jobs.json": dumps({"jobs": told, "reports_waiting": itself.reports(host.files, here)}, indent=1)}


def desired(host: Host) -> Texts:
    """What the controller wants, and what holds."""
    here = itself.place(host)
    wanted, (held, pending) = itself.desired(host.files, here), itself.remembered_network(host.files, here)
    told = {
        "node_id": here.node_id,
        "controllers": [one.url for one in here.controllers],
        "desired_generation": wanted.generation if wanted else None,
        "desired_request": f"{wanted.request.verb} {wanted.request.request_id}" if wanted and wanted.request else None,
        "desired_network": wanted.network.model_dump(mode="json") if wanted and wanted.network else None,
        "held_generation": held.generation if held else None,
        "held_network": held.config.model_dump(mode="json") if held else None,
        "change_under_way": pending is not None,
    }
    return {"desired.json": dumps(told, indent=1)}
