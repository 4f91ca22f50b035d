# SPDX-License-Identifier: Apache-2.0
"""Jobs that want something of a BMC get it: asked outside of any transaction, and written down afterwards."""

from __future__ import annotations

from agent.controller.context import Controller
from agent.controller.flow import attest, jobs, outcome
from agent.controller.flow.publish import publish
from agent.controller.flow.tick import OPEN
from agent.controller.records.job import Job, Operation, Reset, Stage
from agent.controller.records.node import Bmc, Boot, Power
from agent.controller.rules.steering import Waiting
from agent.errors import LinkError
from agent.model.fault import Fault
from agent.program.log import Logger

POWER_JOBS = (Operation.START, Operation.STOP, Operation.REBOOT)

log = Logger("controller")


def serve_power(controller: Controller) -> None:
    """Once over all jobs whose machine has a BMC to be told or to be watched."""
    for job, bmc in _wanting(controller):
        try:
            power = _tell(controller, job, bmc)
        except LinkError as error:
            _failed(controller, job.id, Fault.of(error))
        else:
            _done(controller, job, power)


def observe_power(controller: Controller) -> None:
    """Ask every BMC once whether its machine is on."""
    with controller.read() as tx:
        nodes = [(node.id, node.bmc) for node in tx.nodes.all() if node.bmc is not None]
    for node_id, bmc in nodes:
        try:
            power = controller.power.state(bmc)
        except LinkError as error:
            log.warning("BMC does not answer", node=node_id, error=str(error))
            power = Power.UNKNOWN
        with controller.write() as tx:
            node = tx.nodes.get(node_id)
            if node is not None and node.power is not power:
                tx.nodes.change(node, power=power)


def _wanting(controller: Controller) -> list[tuple[Job, Bmc]]:
    with controller.read() as tx:
        wanting = [
            (job, tx.nodes.get(job.node_id))
            for job in tx.jobs.all(status=OPEN)
            if job.power_wanted is not None or job.stage is Stage.OFF
        ]
    return [(job, node.bmc) for job, node in wanting if node is not None and node.bmc is not None]


def _tell(controller: Controller, job: Job, bmc: Bmc) -> Power:
    """The machine's power as it is after the word. A machine that is off is not restarted but switched on."""
    if job.stage is Stage.RAMDISK and job.power_wanted is Reset.FORCE_RESTART:
        return _cycle(controller, job, bmc)
    power = controller.power.state(bmc)
    match job.power_wanted:
        case Reset.FORCE_RESTART | Reset.ON if power is not Power.ON:
            controller.power.reset(bmc, Reset.ON)
            power = Power.ON
        case Reset.FORCE_RESTART:
            controller.power.reset(bmc, Reset.FORCE_RESTART)
        case Reset.FORCE_OFF if power is not Power.OFF:
            controller.power.reset(bmc, Reset.FORCE_OFF)
            power = controller.power.state(bmc)
        case _:
            pass
    if job.power_wanted is not None:
        log.info("BMC told", job=job.id, node=job.node_id, reset=job.power_wanted.value, power=power.value)
    return power


def _cycle(controller: Controller, job: Job, bmc: Bmc) -> Power:
    """Off, and seen to be off: whatever ran on it runs no more. Then on, into the ramdisk. Where it is not off yet, it
    is told again at the next look."""
    power = controller.power.switch_off(bmc)
    if power is not Power.OFF:
        log.warning("BMC told, and the machine is not off yet", job=job.id, node=job.node_id, power=power.value)
        return Power.UNKNOWN
    boot = _from_network(controller, job, bmc)
    with controller.write() as tx:
        node = tx.nodes.get(job.node_id)
        assert node is not None, "a node that had a job is never deleted"
        attest.order(tx, node, boot)
        told = tx.jobs.get(job.id)
        if told is not None:
            tx.jobs.change(told, power_at=controller.clock.now())  # an order has its age
    controller.power.reset(bmc, Reset.ON)
    log.info("BMC told", job=job.id, node=job.node_id, reset="off and on", boot=boot.value)
    return Power.ON


def _from_network(controller: Controller, job: Job, bmc: Bmc) -> Boot:
    """A tenant may have put the disk first in its firmware's order: only a BMC's word goes before that."""
    try:
        controller.power.boot_from_network(bmc)
    except LinkError as error:
        log.warning("BMC takes no word on what to boot", job=job.id, node=job.node_id, error=str(error))
        return Boot.ORDERED
    return Boot.ATTESTED


def _done(controller: Controller, told: Job, power: Power) -> None:
    now = controller.clock.now()
    with controller.write() as tx:
        job, node = tx.jobs.get(told.id), tx.nodes.get(told.node_id)
        if job is None or node is None:
            return
        tx.nodes.change(node, power=power)
        if told.power_wanted is None or job.status.final:
            return
        if told.stage is Stage.RAMDISK and power is not Power.ON:
            return  # on its way
        job = tx.jobs.change(jobs.running(tx, job), power_wanted=None, power_at=now)
        if job.stage is Stage.OS:
            stopping = job.operation is Operation.STOP
            phase = Waiting.POWERING_OFF if stopping else Waiting.REBOOTING
            jobs.enter(tx, now, job, phase, Stage.OFF if stopping else Stage.BOOT)
        publish(controller, tx, node.id)


def _failed(controller: Controller, job_id: str, fault: Fault) -> None:
    """A job that is about power has failed; any other goes on waiting, and asks again later."""
    now = controller.clock.now()
    log.error("BMC failed", job=job_id, code=fault.code, fault=fault.message)
    with controller.write() as tx:
        job = tx.jobs.get(job_id)
        if job is None or job.status.final:
            return
        if job.operation in POWER_JOBS:
            outcome.failed(tx, now, job, fault)
            publish(controller, tx, job.node_id)
        else:
            tx.jobs.change(job, power_wanted=None, power_at=now)
            node = tx.nodes.get(job.node_id)
            if node is not None:
                tx.nodes.change(node, fault=fault, updated_at=now)
