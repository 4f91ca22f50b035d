# SPDX-License-Identifier: Apache-2.0
"""A machine's firmware asks what to boot: the ramdisk with a one-time token, or its own disk."""

from __future__ import annotations

import secrets
from datetime import timedelta

from agent.controller.context import Controller
from agent.controller.flow import attest, jobs, outcome
from agent.controller.flow.publish import publish
from agent.controller.keys import digest
from agent.controller.records.job import Operation, Stage
from agent.controller.records.node import Boot, BootTarget, Node, Token
from agent.controller.rules import ipxe
from agent.controller.rules.steering import Waiting
from agent.controller.store.database import Transaction
from agent.program.log import Logger

TOKEN_BYTES = 24

log = Logger("controller")


def boot_script(controller: Controller, mac: str, url: str, again: str | None = None) -> str:
    """The iPXE script for this MAC. No token is given out for a machine that is to boot its disk, or whose BMC is to
    boot it first; another one takes the place of that which nobody has used yet: whoever asks without end fills
    nothing. Whoever asks `again`, with the token that he was given, gets the same: not everything came."""
    now = controller.clock.now()
    with controller.write() as tx:
        entry = tx.macs.get(mac)
        node = tx.nodes.get(entry.node_id) if entry else None
        if node is not None and node.boot_target is BootTarget.DISK:
            if not node.revoked:  # whoever speaks for it is not heard
                _on_its_way(controller, tx, node)
            attest.asked(tx, now, node)
            log.info("network boot", mac=mac, node=node.name, boots="local disk")
            return ipxe.local_disk(mac)
        held = tx.tokens.find(digest=digest(again), mac=mac, boot_id=None) if again else None
        if again and held is not None and held.expires_at > now:
            token, boot = again, held.boot
        else:
            given = attest.token_for(tx, now, node) if node is not None else Boot.OWN
            if given is None:
                return ipxe.wait(url, mac)
            token, boot = _new_token(controller, tx, mac, given), given
    log.info("network boot", mac=mac, node=node.name if node else None, boots="ramdisk", boot=boot.value)
    return ipxe.ramdisk(url, mac, token, controller.options.kernel_options, controller.for_agents(url))


def _new_token(controller: Controller, tx: Transaction, mac: str, boot: Boot) -> str:
    token = secrets.token_urlsafe(TOKEN_BYTES)
    expires_at = controller.clock.now() + timedelta(seconds=controller.options.token_lifetime_s)
    tx.tokens.remove(mac=mac, boot_id=None)
    tx.tokens.add(Token(digest=digest(token), mac=mac, expires_at=expires_at, boot=boot))
    return token


def _on_its_way(controller: Controller, tx: Transaction, node: Node) -> None:
    """The machine starts, which a job may wait for. An OS in which cloud-init alone speaks does so once in its life:
    at a later start this is the last that can be seen of it."""
    job, now = jobs.of_node(tx, node), controller.clock.now()
    if job is None or job.stage is not Stage.BOOT:
        return
    server = tx.servers.get(job.server_id) if job.server_id else None
    if (
        server is not None
        and job.operation in (Operation.START, Operation.REBOOT)
        and server.boot_proof == "cloud-init"
    ):
        outcome.proven(tx, now, node, server, "cloud-init")
        publish(controller, tx, node.id)
    else:
        jobs.enter(tx, now, job, Waiting.BOOTING)
