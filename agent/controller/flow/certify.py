# SPDX-License-Identifier: Apache-2.0
"""Certificates of nodes: who is given one, and which calls need one.

Where agents call over TLS, each call of a node that is let in comes by a connection that its own certificate opened.
Without one a node may be enrolled, prove its first boot (by which its key becomes known), and ask for a certificate:
all of that is signed with its key. A node that waits for its approval has none yet, and is told nothing that needs one.
"""

from __future__ import annotations

from typing import Literal

from agent.controller import certificates
from agent.controller.context import Controller
from agent.controller.records.node import Credential, Node, NodeState
from agent.controller.refusal import CertificateRefused
from agent.model.fault import Fault
from agent.model.protocol import CertificateRequest, NodeCertificate
from agent.program.log import Logger

Purpose = Literal["calling", "proving", "renewing"]
"""Any call; the first of an installed OS, by which it binds its key; a call for a certificate."""

DOING = "asking an agent for its certificate"
NONE_SHOWN = "none was shown"
LATER = (
    "A ramdisk is told anew when it is booted; a server's agent, by controller and ca in its /etc/bms-agent/agent.toml "
    "or by a reinstall. Until then bms-agent controller --no-require-certificates hears it."
)

log = Logger("controller")


def certify(controller: Controller, credential: Credential, request: CertificateRequest) -> NodeCertificate:
    """A certificate for that key, of the node whose key has signed this call. Raises `CertificateRefused`."""
    with controller.write() as tx:
        node, kept = tx.nodes.get(credential.node_id), tx.credentials.get(credential.digest)
        doing = f"certifying {node.name if node else credential.node_id}"
        if controller.authority is None:
            raise CertificateRefused(doing, "this controller has no authority", hint="It has one with --listen-tls.")
        if node is None or node.revoked or kept is None:
            raise CertificateRefused(doing, "its credential is not good any more")
        if kept.public_key is None or kept.public_key != credential.signed_by:
            raise CertificateRefused(doing, "its key is not bound yet", hint="An agent proves its boot before.")
        if node.state is NodeState.ENROLL:
            raise CertificateRefused(doing, "it waits for its approval", hint="bmsctl node approve NODE FINGERPRINT.")
        now = controller.clock.now()
        if node.fault is not None and node.fault.code == CertificateRefused.code:
            tx.nodes.change(node, fault=None, updated_at=now)
    days = controller.options.certificate_days
    log.info("node certified", node=node.name, days=days)
    return NodeCertificate(
        certificate=certificates.issue(controller.authority, node.id, kept.public_key, request.public_key, now, days),
    )


def must_show(
    controller: Controller, node: Node, credential: Credential, shown: bytes | None, what: Purpose, *, secured: bool
) -> None:
    """That the connection of this call, which is judged otherwise, is the node's. `credential` is as the call used it;
    `secured`, that it came over TLS. Raises `CertificateRefused`; of an agent that will not get one by itself, the
    operator is told by the node's fault."""
    if controller.authority is None or what == "renewing":
        return
    if shown is not None:
        key = credential.public_key or credential.signed_by or ""
        if problem := certificates.problem(controller.authority, shown, node.id, key, controller.clock.now()):
            raise CertificateRefused(DOING, f"the one that was shown for {node.name} {problem}")
        return
    if not controller.options.require_certificates or node.state is NodeState.ENROLL:
        _heard(controller, node)
        return
    if what == "proving" and credential.public_key is None and credential.signed_by is not None:
        return
    error = CertificateRefused(DOING, f"{NONE_SHOWN} for {node.name}")
    if not secured:
        error = CertificateRefused(
            DOING, f"{node.name} calls in the clear, as it was told before there was TLS", hint=LATER
        )
        _tell(controller, node, Fault.of(error))
    elif credential.mode == "service" and credential.signed_by is None:  # one with a key fetches its own now
        _tell(controller, node, Fault.of(error))
    raise error


def _heard(controller: Controller, node: Node) -> None:
    """What was told of it is over."""
    if node.fault is None or node.fault.code != CertificateRefused.code:
        return
    with controller.write() as tx:
        kept = tx.nodes.get(node.id)
        if kept is not None and kept.fault == node.fault:
            tx.nodes.change(kept, fault=None, updated_at=controller.clock.now())


def _tell(controller: Controller, node: Node, fault: Fault) -> None:
    if node.fault is not None:
        return
    with controller.write() as tx:
        kept = tx.nodes.get(node.id)
        if kept is not None and kept.fault is None:
            log.warning("an agent without a certificate", node=kept.name)
            tx.nodes.change(kept, fault=fault, updated_at=controller.clock.now())
