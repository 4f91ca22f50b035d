# SPDX-License-Identifier: Apache-2.0
"""The agent's face: `agent/model/protocol.py`, line by line."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from agent.controller import bundles
from agent.controller.api.auth import Agent, Here, RenewingAgent, ServiceAgent, ThisCall
from agent.controller.api.tolerant import tolerant
from agent.controller.api.url import url_of
from agent.controller.flow.beat import beat, take_inventory
from agent.controller.flow.certify import certify
from agent.controller.flow.enrol import enrol
from agent.controller.flow.identity import signed_by
from agent.controller.flow.poll import poll, quiet
from agent.controller.flow.prove import phone_home, prove
from agent.controller.flow.report import take_reports
from agent.controller.flow.strangers import must_be_let_in
from agent.model.bounds import MOST
from agent.model.bundle import Taken
from agent.model.frozen import Frozen, said
from agent.model.inventory import Inventory
from agent.model.protocol import (
    Acknowledged,
    Booted,
    BootProof,
    CertificateRequest,
    Desired,
    Enroll,
    Enrolled,
    Heartbeat,
    HeartbeatAnswer,
    NodeCertificate,
    ReportBatch,
    ReportsAnswer,
)
from agent.model.signature import DIGEST

LOOK_AGAIN_S = 15.0
"""A wake-up reaches the polls of this process alone; another one on the same database is noticed by looking again."""

BUNDLE_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""For the OpenAPI: it is read piece by piece, so FastAPI knows nothing of it."""

Enrolling = Annotated[Enroll, tolerant(Enroll)]
Proof = Annotated[BootProof, tolerant(BootProof)]
Asked = Annotated[CertificateRequest, tolerant(CertificateRequest)]
Hardware = Annotated[Inventory, tolerant(Inventory)]
Beat = Annotated[Heartbeat, tolerant(Heartbeat)]
Reports = Annotated[ReportBatch, tolerant(ReportBatch)]

router = APIRouter(prefix="/v1/agent", tags=["agent"])


class DesiredQuery(Frozen):
    """What the agent holds, and how long it waits for something newer."""

    generation: int = Field(default=0, ge=0, le=MOST)
    wait_s: float = Field(default=0.0, ge=0, le=300)


@router.post("/enroll")
def post_enroll(message: Enrolling, call: ThisCall, request: Request, controller: Here) -> Enrolled:
    """A machine in its ramdisk asks to be taken in."""
    return enrol(controller, message, url_of(request, controller), signed_by(controller, call))


@router.post("/boot")
def post_boot(proof: Proof, credential: ServiceAgent, controller: Here) -> Booted:
    """An installed OS returns its nonce."""
    return prove(controller, credential, proof)


@router.post("/certificate")
def post_certificate(message: Asked, credential: RenewingAgent, controller: Here) -> NodeCertificate:
    """A certificate, by which the node's agent opens connections."""
    return certify(controller, credential, message)


@router.post("/inventory")
def post_inventory(inventory: Hardware, credential: Agent, controller: Here) -> Acknowledged:
    """What the machine is made of."""
    take_inventory(controller, credential, inventory)
    return Acknowledged()


@router.post("/heartbeat")
def post_heartbeat(heartbeat: Beat, credential: Agent, controller: Here) -> HeartbeatAnswer:
    """Alive, and what is observed."""
    return beat(controller, credential, heartbeat)


@router.get("/desired", response_model=Desired)
async def get_desired(query: Annotated[DesiredQuery, Query()], credential: Agent, controller: Here) -> Response:
    """Long poll: answers when it is newer than what the agent holds, or after the wait. Defaults are not said: an agent
    that is older than one of them would refuse the whole order for it.
    """
    deadline = asyncio.get_running_loop().time() + query.wait_s
    woken = False
    while True:
        changed = controller.wakeups.join(credential.node_id)
        try:
            left_s = deadline - asyncio.get_running_loop().time()
            over = left_s <= 0 or controller.wakeups.closed
            if over or woken or not await run_in_threadpool(quiet, controller, credential, query.generation):
                answer = await run_in_threadpool(poll, controller, credential, query.generation)
                if over or answer.generation != query.generation:
                    return JSONResponse(said(answer))
            woken = await _changed_or_later(changed, min(left_s, LOOK_AGAIN_S))
        finally:
            controller.wakeups.leave(credential.node_id, changed)


@router.post("/reports")
def post_reports(batch: Reports, credential: Agent, controller: Here) -> ReportsAnswer:
    """What became of requests."""
    return take_reports(controller, credential, batch)


@router.post("/bundles", openapi_extra=BUNDLE_BODY)
async def post_bundle(request: Request, credential: Agent, controller: Here) -> Taken:
    """A bundle of logs of an approved node, as the body: gzip, 32 MiB at most. The last few of a node are kept."""
    await run_in_threadpool(must_be_let_in, controller, credential)
    signed = request.headers.get(DIGEST) if credential.signed_by else None
    incoming = await run_in_threadpool(bundles.Incoming, controller.bundles / credential.node_id)
    try:
        async for part in request.stream():
            await run_in_threadpool(incoming.write, part)
        kept = await run_in_threadpool(incoming.keep, controller.clock.now(), signed)
    finally:
        await run_in_threadpool(incoming.discard)
    return Taken(name=kept.name, size_bytes=kept.size_bytes)


@router.post("/phone-home/{nonce}", status_code=204)
def post_phone_home(nonce: str, controller: Here) -> Response:
    """cloud-init of an image without our service has come to its end; its form is not needed."""
    phone_home(controller, nonce)
    return Response(status_code=204)


async def _changed_or_later(changed: asyncio.Event, wait_s: float) -> bool:
    """Says whether it was changed."""
    try:
        async with asyncio.timeout(wait_s):
            await changed.wait()
    except TimeoutError:
        return False
    return True
