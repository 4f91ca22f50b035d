# SPDX-License-Identifier: Apache-2.0
"""An agent asks what its node shall be. Handing out a request binds it to the boot that asks."""

from __future__ import annotations

from agent.controller.context import Controller
from agent.controller.flow import jobs, sessions
from agent.controller.flow.beat import node_of
from agent.controller.flow.publish import content_digest, desired, publish, sealed
from agent.controller.records.node import AgentSession, Credential, Node
from agent.controller.refusal import NotAllowed
from agent.controller.store.database import Transaction
from agent.model.protocol import Desired
from agent.program.log import Logger

log = Logger("controller")


def poll(controller: Controller, credential: Credential, generation: int) -> Desired:
    """What the node shall be now. Raises `NotAllowed` for an agent that does not speak for it any more."""
    with controller.read() as tx:
        node, session = _speaker(tx, credential)
        answer = desired(controller, tx, node)
        settled = (
            content_digest(answer) == node.desired_digest
            and not _to_bind(tx, node, answer)
            and sessions.fresh(controller.clock.now(), session)
        )
    if not settled:
        answer = _hand_out(controller, credential)
    if answer.generation < generation:
        log.error("agent knows a newer desired state", node=node.name, ours=answer.generation, its=generation)
    return answer


def quiet(controller: Controller, credential: Credential, generation: int) -> bool:
    """Whether nothing was published since that generation, and nothing waits to be handed out. Composing the state to
    find out takes long where a network has a thousand members. Raises as `poll` does."""
    now = controller.clock.now()
    with controller.read() as tx:
        node, session = _speaker(tx, credential)
        job = jobs.of_node(tx, node)
        request = tx.assignments.get(job.request_id) if job and job.request_id else None
        answer = node.generation == generation and (request is None or request.boot_id is not None)
    if answer and not sessions.fresh(now, session):
        with controller.write() as tx:
            sessions.seen(tx, now, session)
    return answer


def _hand_out(controller: Controller, credential: Credential) -> Desired:
    with controller.write() as tx:
        node, session = _speaker(tx, credential)
        sessions.seen(tx, controller.clock.now(), session)
        node = publish(controller, tx, node.id)
        answer = desired(controller, tx, node)
        if _to_bind(tx, node, answer) and answer.request is not None:
            request = tx.assignments.get(answer.request.request_id)
            if request is not None:
                tx.assignments.change(request, boot_id=session.boot_id, given=sealed(controller, answer.request))
                log.info("request handed out", node=node.name, request=request.request_id, boot=session.boot_id)
        return answer


def _to_bind(tx: Transaction, node: Node, answer: Desired) -> bool:
    request = tx.assignments.get(answer.request.request_id) if answer.request else None
    return request is not None and request.boot_id is None


def _speaker(tx: Transaction, credential: Credential) -> tuple[Node, AgentSession]:
    node = node_of(tx, credential)
    session = sessions.speaking(tx, node, credential)
    if session is None:
        raise NotAllowed("asking for the desired state", "another run of an agent speaks for this node now")
    return node, session
