# SPDX-License-Identifier: Apache-2.0
"""How a ramdisk's boot came about: what a controller can know of who speaks for a machine that was a tenant's.

A ramdisk has a new key each boot, and whoever is root on a server knows its UUID and its MACs: by these alone a
tenant's OS could say that it is the ramdisk, and that its disks are erased. So a node with a BMC does nothing in a
ramdisk that we have not booted ourselves: its BMC switches it off, and says that it is off (whatever ran on it runs no
more), and on again from the network; the first who then asks what to boot gets the one token of that boot. Without a
BMC nothing of that is known; it is only waited for the end of the OS that still speaks.
"""

from __future__ import annotations

from datetime import datetime

from agent.controller.flow import jobs, sessions
from agent.controller.records.job import AssignmentState, Job, Stage
from agent.controller.records.node import AgentSession, Boot, Node
from agent.controller.refusal import BootUnordered
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.program.log import Logger

ALIVE_S = 75.0
"""An agent is heard of every 60 s ± 10 %."""
ORDER_S = 1800.0
"""From its BMC's word to its firmware's question: the largest servers test their memory for half of that."""
AFTER_S = 5.0
"""A heartbeat that was on its way while its machine restarted."""
UNORDERED = "BOOT.UNORDERED"

log = Logger("controller")


def order(tx: Transaction, node: Node, boot: Boot) -> Node:
    """Its BMC says that it is off, and will switch it on: whatever spoke for it in a ramdisk is over."""
    tx.credentials.remove(node_id=node.id, mode="ramdisk")
    session = sessions.current(tx, node)
    if session is not None:
        tx.sessions.change(session, boot=Boot.OWN)
    for token in tx.tokens.all(mac=(node.boot_mac, *(entry.mac for entry in tx.macs.all(node_id=node.id)))):
        tx.tokens.change(token, boot=Boot.OWN)
    return tx.nodes.change(node, boot_order=boot, asked_at=None)


def ordered(tx: Transaction, now: datetime, node: Node) -> Boot | None:
    """The boot that was ordered and is still to come. What came of none in time is none any more: whoever asks then is
    not the firmware that its BMC has started, and the BMC is to do it again."""
    job = _in_ramdisk(tx, node)
    if job is None or job.power_at is None or (now - job.power_at).total_seconds() > ORDER_S:
        return None
    return node.boot_order


def failed(tx: Transaction, node: Node) -> Node:
    """Its OS has started: whatever its BMC had been told, the boot from the network was none. Its token is nobody's."""
    if node.boot_order is None:
        return node
    log.warning("the OS has started where a ramdisk was to", node=node.name)
    return tx.nodes.change(node, boot_order=None)


def heeded(node: Node, session: AgentSession) -> bool:
    """Whether what this session says about work in a ramdisk counts."""
    return session.mode == "service" or node.bmc is None or session.boot is not Boot.OWN


def token_for(tx: Transaction, now: datetime, node: Node) -> Boot | None:
    """For which boot whoever asks now gets a token; None: for none, who asks is to wait."""
    if (boot := ordered(tx, now, node)) is not None:
        tx.nodes.change(node, boot_order=None, asked_at=None)
        return boot
    if node.boot_order is not None:
        log.warning("the boot that was ordered has not come in time", node=node.name)
        node = tx.nodes.change(node, boot_order=None)
    job = _in_ramdisk(tx, node)
    if job is None or (node.bmc is None and not _os_runs(tx, now, node, job)):
        return Boot.OWN
    asked(tx, now, node)
    log.warning("network boot that nobody ordered", node=node.name, bmc=node.bmc is not None)
    return None


def must_be_ordered(tx: Transaction, now: datetime, node: Node, boot: Boot) -> None:
    """A machine with work to do enrols in the boot that was meant. Raises `BootUnordered`."""
    job, doing = _in_ramdisk(tx, node), f"enrolling {node.name}"
    if job is None:
        return
    if node.bmc is not None and boot is Boot.OWN:
        raise BootUnordered(doing, "its BMC was not told to boot it as it is now")
    if node.bmc is None and boot is Boot.OWN and _os_runs(tx, now, node, job):
        raise BootUnordered(doing, "the OS on it is still heard of")


def asked(tx: Transaction, now: datetime, node: Node) -> None:
    """Somebody asked what it boots: its firmware, and it is about to start; or something else that knows its MAC."""
    tx.nodes.change(node, asked_at=now)


def heard(tx: Transaction, now: datetime, node: Node, session: AgentSession) -> None:
    """A heartbeat. If somebody asked what the machine boots, and the same run of its agent still speaks afterwards, it
    was not its firmware."""
    if node.asked_at is None:
        return
    if session.opened_at >= node.asked_at:
        tx.nodes.change(node, asked_at=None)  # it started, and is up
    elif (now - node.asked_at).total_seconds() > AFTER_S:
        fault = Fault(
            code=UNORDERED,
            message=f"watching {node.name}: something asked at {node.asked_at:%H:%M:%S} what it boots by its MAC, and "
            f"the {session.mode} agent that was on it then still speaks",
            hint="Its OS, or another machine with its MAC, plays its firmware: is the provisioning network kept apart?",
        )
        log.warning("a boot that nobody ordered", node=node.name, mode=session.mode)
        tx.nodes.change(node, asked_at=None, fault=node.fault or fault, updated_at=now)


def stranded(node: Node, session: AgentSession | None, told_at: datetime | None) -> bool:
    """Its firmware asks what to boot and got no token since its BMC was told anything: it has started by itself."""
    heard_at = session.seen_at if session is not None else None
    return node.asked_at is not None and all(at is None or at < node.asked_at for at in (heard_at, told_at))


def _in_ramdisk(tx: Transaction, node: Node) -> Job | None:
    """The job that has work for it in a ramdisk."""
    job = jobs.of_node(tx, node)
    return job if job is not None and not job.status.final and job.stage is Stage.RAMDISK else None


def _os_runs(tx: Transaction, now: datetime, node: Node, job: Job) -> bool:
    """Its installed OS was heard of a moment ago, and has not said that it reboots."""
    session = sessions.current(tx, node)
    if session is None or session.mode != "service" or (now - session.seen_at).total_seconds() >= ALIVE_S:
        return False
    request = tx.assignments.get(job.request_id) if job.request_id else None
    return request is None or request.state is not AssignmentState.SUCCEEDED
