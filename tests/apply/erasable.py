# SPDX-License-Identifier: Apache-2.0
"""Machines whose drives can forget by themselves, and what the agent makes of a request to erase them."""

from __future__ import annotations

from threading import Event
from typing import TypeVar

from agent.host.fake import FakeHost, LinkTo, Machine, Tree
from agent.host.fake.erasing import AtaMind, Medium, NvmeMind, Sanitizer, ScsiMind
from agent.host.fake.machine import Record
from agent.job.executor import Executor
from agent.job.journal import Job, Journal
from agent.job.outbox import Outbox
from agent.model.erasing import Erasure
from agent.model.erasing.certificate import IN_RESULT, Certificate, SignedCertificate
from agent.model.request import EraseRequest
from agent.operations import Operations

M = TypeVar("M", bound=Sanitizer)
MIB = 1024 * 1024
SIZE = 3 * MIB
DATA = b"what a tenant wrote, "
PLACES: dict[type[Sanitizer], tuple[str, str]] = {
    NvmeMind: ("nvme{}n1", "/sys/devices/pci0000:00/nvme/nvme{}"),
    AtaMind: ("sda{}", "/sys/devices/pci0000:00/ata{}/host{}/block"),
    ScsiMind: ("sds{}", "/sys/devices/pci0000:00/host{}/end_device-{}/block"),
}


def machine(count: int = 1) -> Machine:
    """Without any drive yet."""
    return Machine.of(Tree.of({"/proc/sys/kernel/random/boot_id": f"boot-{count}\n"}), Record(origin="synthetic"))


def drive(made: Machine, kind: type[M], **facts: object) -> M:
    """One more, full of somebody's data: with serial D0, D1 …"""
    number = len(made.minds)
    name, place = (
        text.replace("{}", str(number)) for text in next(PLACES[one] for one in kind.__mro__ if one in PLACES)
    )
    sizes = {"size": SIZE // 512, "ro": 0, "removable": 0, "queue/rotational": 0,
             "queue/logical_block_size": 512, "queue/physical_block_size": 512}  # fmt: skip
    for fact, value in sizes.items():
        made.tree.put(f"{place}/{name}/{fact}", f"{value}\n".encode())
    made.tree.put(f"{place}/{name}/device/serial", f"D{number}\n".encode())
    made.tree.put(f"{place}/{name}/device/firmware_rev", b"FW1\n")
    made.tree.put(f"/sys/block/{name}", LinkTo(f"{place}/{name}"))
    udev = {**made.record.udev, name: {"DEVTYPE": "disk", "USEC_INITIALIZED": "1"}}
    made.record = made.record.model_copy(update={"udev": udev})
    medium = Medium(SIZE)
    medium.write(0, (DATA * (SIZE // len(DATA) + 1))[:SIZE])
    medium.flush()
    mind = kind(machine=made, medium=medium, **facts)  # type: ignore[arg-type]
    made.disks[f"/dev/{name}"], made.minds[f"/dev/{name}"] = medium, mind
    made.booted_tree = made.tree.copy()
    return mind


def served(host: FakeHost, number: int = 1, **asked: object) -> Job:
    """What comes of the request; each has an id of its own, as the controller gives them."""
    facts = {"request_id": f"r{number}", "node_id": "n1", "method": "secure"} | asked
    outbox, stop = Outbox(host.files, "/run/agent", f"stream-{number}"), Event()
    stop.set()
    executor = Executor(
        Operations(host, "ramdisk", "/run/agent/spool"), Journal(host.files, "/run/agent"), outbox, host.clock, "b"
    )
    return executor.serve(EraseRequest.model_validate(facts), stop)


def certified(job: Job) -> Certificate:
    """What the job's certificate says; its signature is good."""
    return SignedCertificate.model_validate_json(str(job.result[IN_RESULT])).opened()


def only(job: Job) -> Erasure:
    """Of the one disk."""
    (one,) = certified(job).disks
    return one


def holds_data(mind: Sanitizer) -> bool:
    """Whether any of what the tenant wrote is on the medium."""
    return any(DATA in mind.medium.durable.read(at, MIB) for at in range(0, SIZE, MIB))
