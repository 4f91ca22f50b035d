# SPDX-License-Identifier: Apache-2.0
"""An installed OS whose agent has lost its key: it has the right credential, and signs with another key than the one
that this is bound to. It is not heard, but its operator is told which key that is, and may bind the credential to it.
"""

from __future__ import annotations

from agent.controller.context import Controller
from agent.controller.records.node import Credential, Node
from agent.controller.store.database import Transaction
from agent.model.fault import Fault
from agent.model.signature import fingerprint
from agent.program.log import Logger

CODE = "AGENT.OTHER_KEY"
HINT = (
    "Has its OS lost its key, as the log of its agent says: bmsctl node approve NODE FINGERPRINT. If not, somebody has "
    "read its config drive."
)

log = Logger("controller")


def remember(controller: Controller, credential: Credential, key: str) -> None:
    """In the node's fault, where an operator looks; the key itself is its details. It has signed the call at hand."""
    told = (
        f"authenticating an agent: its credential is right, and its key is {fingerprint(key)}, which is not the node's"
    )
    fault = Fault(code=CODE, message=told, details=key, hint=HINT)
    with controller.write() as tx:
        node = tx.nodes.get(credential.node_id)
        if node is not None and node.fault != fault and tx.credentials.get(credential.digest) is not None:
            log.warning("an agent with another key", node=node.name, fingerprint=fingerprint(key))
            tx.nodes.change(node, fault=fault, updated_at=controller.clock.now())


def bind(tx: Transaction, node: Node, said: str | None) -> bool:
    """Whether the operator has said the key that was remembered; its service's credential is that key's from now on."""
    credentials = tx.credentials.all(node_id=node.id, mode="service")
    if node.fault is None or node.fault.code != CODE or not credentials or fingerprint(node.fault.details) != said:
        return False
    for credential in credentials:
        tx.credentials.change(credential, public_key=node.fault.details)
    log.warning("node has another key", node=node.name, was=node.fingerprint, fingerprint=said)
    return True
