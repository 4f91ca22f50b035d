# SPDX-License-Identifier: Apache-2.0
"""The desired state of a node, from the records; its generation rises whenever its content changes.

A request is composed until a boot has taken it, and repeated from then on as it was said: to an agent, the same id with
other content is an error, and ends what it was at.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

from pydantic import ValidationError

from agent.controller.context import Controller
from agent.controller.flow import jobs, sessions
from agent.controller.flow.network import network_of
from agent.controller.records.job import Assignment, Job, Operation
from agent.controller.records.node import Node
from agent.controller.records.server import Server
from agent.controller.rules.config_drive import DeploySecrets, Drive
from agent.controller.rules.desired import compose
from agent.controller.store.database import Transaction
from agent.model.network import NetworkConfig
from agent.model.protocol import Desired
from agent.model.request import REQUEST, Request
from agent.program.log import Logger

GIVEN = "request as it was given"

log = Logger("controller")


def publish(controller: Controller, tx: Transaction, node_id: str) -> Node:
    """Call after anything that may matter to the node: if what it shall be changed, the generation rises."""
    node = tx.nodes.get(node_id)
    assert node is not None, "nodes are never deleted"
    digest = content_digest(desired(controller, tx, node))
    if digest == node.desired_digest:
        return node
    tx.changed.add(node.id)
    return tx.nodes.change(node, generation=node.generation + 1, desired_digest=digest)


def content_digest(desired_state: Desired) -> str:
    """Of everything but the generation."""
    content = desired_state.model_copy(update={"generation": 0}).model_dump_json()
    return hashlib.sha256(content.encode()).hexdigest()


def desired(controller: Controller, tx: Transaction, node: Node) -> Desired:
    """What the node shall be now."""
    job, server = jobs.of_node(tx, node), tx.servers.get(node.server_id) if node.server_id else None
    assignment = tx.assignments.get(job.request_id) if job and job.request_id else None
    return Desired(
        generation=node.generation,
        node_id=node.id,
        request=_request(controller, tx, node, job, assignment, server) if job and assignment else None,
        network=_network(tx, node, server),
    )


def sealed(controller: Controller, request: Request) -> str:
    """A request as it is given: it may hold secrets."""
    return controller.keys.sealed(REQUEST.dump_json(request).decode(), GIVEN, request.request_id)


def given(controller: Controller, assignment: Assignment) -> Request | None:
    """As it was given. None where that cannot be read: it was sealed by a key that is lost, or by a later release."""
    text = controller.keys.opened(assignment.given or "", GIVEN, assignment.request_id)
    if text is not None:
        with suppress(ValidationError):
            return REQUEST.validate_json(text)
    log.error("a request cannot be read as it was given: it is composed anew", request=assignment.request_id)
    return None


def deploy_secrets(controller: Controller, request_id: str) -> DeploySecrets:
    """The secrets of one deploy."""
    derive = controller.keys.derive
    return DeploySecrets(
        credential=derive("service credential", request_id),
        nonce=derive("boot nonce", request_id),
        phone_home=derive("phone home", request_id),
        random_seed=derive("random seed", request_id),
    )


def _network(tx: Transaction, node: Node, server: Server | None) -> NetworkConfig | None:
    """For the installed OS alone: the ramdisk's network is the provisioning network's business."""
    session = sessions.current(tx, node)
    if server is None or session is None or session.mode != "service":
        return None
    return network_of(tx, server)


def _request(
    controller: Controller, tx: Transaction, node: Node, job: Job, assignment: Assignment, server: Server | None
) -> Request:
    if assignment.given is not None and (kept := given(controller, assignment)) is not None:
        return kept
    if assignment.verb == "hardware.validate":
        validation = tx.validations.get(job.id)
        return compose(assignment, None, tests=validation.order if validation else None)
    if assignment.verb != "image.deploy" or server is None:
        return compose(assignment, None, show_hidden=controller.options.show_hidden)
    image = tx.images.get(server.image_id)
    assert image is not None, "an image in use is not deleted"
    return compose(
        assignment,
        Drive(
            controller_url=node.controller_url,
            agents=controller.for_agents(node.controller_url),
            server=server,
            image=image,
            network=assignment.network or network_of(tx, server),
            subnets={port.id: port.subnet_id for port in tx.ports.all(server_id=server.id)},
            key=tx.keypairs.get(server.key_name) if server.key_name else None,
            user_data=server.user_data if job.operation is Operation.CREATE else None,
            secrets=deploy_secrets(controller, assignment.request_id),
        ),
        verify=job.verify,
    )
