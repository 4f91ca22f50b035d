# SPDX-License-Identifier: Apache-2.0
"""Doing `BurnIn`: each load in turn, its findings; what failed is an error that tells all of them.

A load is threads that spend their time outside of Python, in hashing, copying, comparing, reading and writing, so they
load all processors from one process, and end when they are told to. What they find is verified, not only endured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from agent.apply.burn_in.course import Course
from agent.apply.burn_in.cpu import burn_cpu
from agent.apply.burn_in.disk import burn_disks
from agent.apply.burn_in.gpu import burn_gpu
from agent.apply.burn_in.marks import worse_by
from agent.apply.burn_in.memory import burn_memory
from agent.apply.burn_in.network import burn_network
from agent.errors import AgentError, BurnInFailed, HostError, Recalled
from agent.host.doors import Host
from agent.model.burn_in import BurnIn, CpuLoad, DiskLoad, GpuLoad, Load, MemoryLoad, NetworkLoad, Verdict
from agent.model.job import Advance, Result
from agent.model.plan import DiskMustBe
from agent.program.log import Logger

Hold = Callable[[DiskMustBe], None]
log = Logger("burn-in")


def burn_in(host: Host, step: BurnIn, advance: Advance, hold: Hold = lambda _: None) -> Result:
    """Returns every finding with its figures. Raises `BurnInFailed` where one failed, or nothing was tested at all. The
    disks are `hold`'s to look at again before they are written to: a day may have passed.
    """
    course = Course(host, step.record_path, advance)
    course.begin()
    found: list[Verdict] = []
    for load in step.loads:
        (finding,) = course.found(load.part) or (judged(host, step, load, course, hold),)
        log.info("burn-in", part=finding.part, state=finding.state, told=finding.told, **finding.figures)
        found.append(finding)
        course.keep(load.part, (finding,))
    result = flat(found) | course.told()
    if step.output:
        result |= written(host, step.output, found)
    if any(one.state == "failed" for one in found) or all(one.state == "skipped" for one in found):
        raise BurnInFailed("burning this machine in", "; ".join(map(str, found)))
    course.end()
    return result


def judged(host: Host, step: BurnIn, load: Load, course: Course, hold: Hold) -> Verdict:
    """What came of a load, with what the hardware itself has counted meanwhile. To be recalled is no finding."""
    with worse_by(host.files) as marks:
        try:
            finding = carried_out(host, step, load, course, hold)
        except Recalled:
            raise
        except AgentError as error:
            finding = Verdict(part=load.part, state="failed", told=str(error))
    return marks(finding)


def carried_out(host: Host, step: BurnIn, load: Load, course: Course, hold: Hold) -> Verdict:
    """One load. Raises `AgentError`."""
    match load:
        case CpuLoad():
            return burn_cpu(host, load, course)
        case MemoryLoad():
            return burn_memory(host, load, course)
        case DiskLoad():
            for disk in step.disks:
                hold(DiskMustBe(disk=disk))
            return burn_disks(host, load, step.disks, course)
        case NetworkLoad():
            return burn_network(host, load, course)
        case GpuLoad():
            return burn_gpu(host, load, course)
    assert_never(load)


def flat(found: list[Verdict]) -> Result:
    """As a job reports it."""
    result: Result = {}
    for one in found:
        result[one.part] = f"{one.state} ({one.told})" if one.told else one.state
        result |= {f"{one.part} {name}": value for name, value in one.figures.items()}
    return result


def written(host: Host, path: str, found: list[Verdict]) -> Result:
    """The findings, a line of JSON each. Where that file cannot be, the result says so: it is no reason to burn in a
    machine for another day.
    """
    text = "".join(f"{one.model_dump_json(exclude_defaults=True)}\n" for one in found)
    try:
        host.files.write(path, text.encode())
    except HostError as error:
        log.warning("findings not written", path=path, error=str(error))
        return {"output": f"not written: {error}"}
    return {"output": path}
