# SPDX-License-Identifier: Apache-2.0
"""THE TABLE of steps: names of IPA's, since runbooks and deploy templates in operators' databases have them; what each
does is an operation of ours. Ironic's lists of steps are made of it.

Interfaces, priorities and arguments: ironic_python_agent/hardware.py (`GenericHardwareManager.get_clean_steps` …).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.api.ironic.burn_in import burn_in_request
from agent.api.ironic.inject import inject_request
from agent.api.ironic.raid import asked_for, create_request, delete_request
from agent.api.ironic.translate import deploy_request, erase_request, forget_request, shared_too, skipped
from agent.api.ironic.validate import ARGUMENTS, validate_request
from agent.errors import InputError
from agent.model.burn_in import Part
from agent.model.ironic.wire import MASTER, Node
from agent.model.job import Result
from agent.model.request import ErasePstoreRequest, Request

Kind = Literal["clean", "deploy", "service"]
KINDS: tuple[Kind, ...] = ("clean", "deploy", "service")


@dataclass(frozen=True)
class Asked:
    """A step that is to be done, under this request id.

    named    the node and its ports as Ironic sent them, which URLs may name fields of
    guards   filesystems of several machines are not written to
    """

    request_id: str
    node: Node
    args: dict[str, Any]
    named: Mapping[str, Any] = field(default_factory=dict)
    guards: bool = True


@dataclass(frozen=True)
class Argument:
    """Of a step."""

    description: str
    required: bool = False


@dataclass(frozen=True)
class Step:
    """A row. `priority`: 0 is for who names it, higher ones are done by themselves in automated cleaning. `before` is
    done first; `kept` is what Ironic takes as the result, where it wants more than a text. Before a step that writes to
    disks arrays are made to run, by which md writes to theirs; any other does without.
    """

    kinds: frozenset[Kind]
    request: Callable[[Asked], Request]
    interface: str = "deploy"
    priority: int = 0
    arguments: dict[str, Argument] = field(default_factory=dict)
    before: Callable[[Asked], tuple[Request, ...]] = lambda _: ()
    kept: Callable[[Asked], dict[str, Any]] | None = None
    writes_disks: bool = True

    def shown(self, name: str, kind: Kind, priority: int | None = None) -> dict[str, Any]:
        """As Ironic reads it; with another `priority`, if this boot has one."""
        found: dict[str, Any] = {
            "step": name.rpartition(".")[2],
            "priority": (self.priority if kind == "clean" else 0) if priority is None else priority,
            "interface": self.interface,
            "reboot_requested": False,
        }
        if kind != "deploy" and "clean" in self.kinds:
            found["abortable"] = True
        if self.arguments:
            found["argsinfo"] = {
                argument: {"description": one.description, "required": one.required}
                for argument, one in self.arguments.items()
            }
        return found


def erase(method: Literal["zero", "metadata", "express"]) -> Callable[[Asked], Request]:
    """Every local disk, but those that are to be passed over."""

    def request(asked: Asked) -> Request:
        return erase_request(asked.request_id, asked.node, method, guards=asked.guards)

    return request


def written(asked: Asked) -> Request:
    """An image, and a config drive."""
    request = deploy_request(asked.request_id, asked.node, asked.args)
    return request.model_copy(update={"shared_too": shared_too(asked.node, guards=asked.guards)})


def forgotten(asked: Asked) -> Request:
    """Boot entries of the firmware's."""
    return forget_request(asked.request_id, asked.node, asked.args)


def pstore_erased(asked: Asked) -> Request:
    """What crashed kernels left."""
    return ErasePstoreRequest(request_id=asked.request_id, node_id=asked.node.uuid)


def injected(asked: Asked) -> Request:
    """Files, into the system that was written."""
    return inject_request(asked.request_id, asked.node, asked.args, asked.named, guards=asked.guards)


def burnt_in(part: Part) -> Callable[[Asked], Request]:
    """One kind of hardware."""

    def request(asked: Asked) -> Request:
        return burn_in_request(asked.request_id, asked.node, part, guards=asked.guards)

    return request


def validated(asked: Asked) -> Request:
    """Hardware; nothing is written."""
    return validate_request(asked.request_id, asked.node, asked.args)


def raid_deleted(asked: Asked) -> Request:
    """All arrays, but those to be skipped."""
    return delete_request(asked.request_id, asked.node, skipped(asked.node))


def raid_created(asked: Asked) -> Request:
    """The node's own arrays."""
    return create_request(asked.request_id, asked.node, asked_for(asked.node, asked.args), skipped(asked.node))


def raid_applied(asked: Asked) -> Request:
    """Arrays that come with the step."""
    return create_request(asked.request_id, asked.node, asked.args.get("raid_config"), skipped(asked.node))


def deleted_before(asked: Asked) -> tuple[Request, ...]:
    """Unless the step says no. That the new ones can be read is seen first."""
    raid_applied(asked)
    if asked.args.get("delete_existing", True) is False:
        return ()
    return (delete_request(f"{asked.request_id}:delete", asked.node, skipped(asked.node)),)


FILES = {
    "files": Argument(
        "a list of objects with path, partition, content (base64, or a URL), deleted, mode, dirmode, owner, group; "
        "those of node.properties[inject_files] come before"
    ),
    "verify_ca": Argument("whether certificates are verified: always"),
}
RAID = {
    "raid_config": Argument("the arrays, as in target_raid_config", required=True),
    "delete_existing": Argument("whether present arrays are deleted before; they are, if nothing is said"),
}
PATTERNS = {"match_patterns": Argument("regular expressions; entries whose path has one of them are removed")}
IMAGE = {
    "image_info": Argument("what Ironic says of the image: urls, disk_format, digest", required=True),
    "configdrive": Argument("URL, or base64 of a filesystem packed with gzip"),
}
CLEAN: frozenset[Kind] = frozenset({"clean"})
CLEAN_DEPLOY: frozenset[Kind] = frozenset({"clean", "deploy"})
CLEAN_SERVICE: frozenset[Kind] = frozenset({"clean", "service"})
DEPLOY_SERVICE: frozenset[Kind] = frozenset({"deploy", "service"})
INJECT = "deploy.inject_files"
STEPS: dict[str, Step] = {
    "deploy.erase_devices": Step(CLEAN, erase("zero"), priority=10),
    "deploy.erase_devices_metadata": Step(CLEAN_DEPLOY, erase("metadata"), priority=99),
    "deploy.erase_devices_express": Step(CLEAN, erase("express")),
    "deploy.erase_pstore": Step(CLEAN, pstore_erased, writes_disks=False),
    "deploy.clean_uefi_nvram": Step(CLEAN_DEPLOY, forgotten, arguments=PATTERNS, writes_disks=False),
    "raid.delete_configuration": Step(CLEAN_SERVICE, raid_deleted, interface="raid"),
    "raid.create_configuration": Step(
        CLEAN_SERVICE, raid_created, interface="raid", kept=lambda asked: asked_for(asked.node, asked.args)
    ),
    "raid.apply_configuration": Step(
        DEPLOY_SERVICE,
        raid_applied,
        interface="raid",
        arguments=RAID,
        before=deleted_before,
        kept=lambda asked: dict(asked.args["raid_config"]),
    ),
    "deploy.burnin_cpu": Step(CLEAN_SERVICE, burnt_in("cpu"), writes_disks=False),
    "deploy.burnin_gpu": Step(CLEAN_SERVICE, burnt_in("gpu"), writes_disks=False),
    "deploy.burnin_disk": Step(CLEAN, burnt_in("disk")),
    "deploy.burnin_memory": Step(CLEAN_SERVICE, burnt_in("memory"), writes_disks=False),
    "deploy.burnin_network": Step(CLEAN_SERVICE, burnt_in("network"), writes_disks=False),
    "deploy.validate_hardware": Step(
        CLEAN_SERVICE,
        validated,
        arguments={name: Argument(text) for name, text in ARGUMENTS.items()},
        writes_disks=False,
    ),
    "deploy.write_image": Step(DEPLOY_SERVICE, written, arguments=IMAGE),
    INJECT: Step(DEPLOY_SERVICE, injected, arguments=FILES),
}


CONTAINERS = (
    "not supported: it runs a program from a registry as root in the ramdisk, which has no container runtime",
    "Clean this node with ironic-python-agent where it needs such a step, or use a step of the machine's maker.",
)
NIC_FIRMWARE = (
    "not supported: it needs NVIDIA's own tools (mstflint, mstconfig), which this ramdisk does not have",
    "Update the NIC's firmware out of band (firmware_interface redfish), or with ironic-python-agent's ramdisk.",
)
REFUSED = {
    "deploy.execute_bootc_install": (
        "not supported: bootc runs a program of the image's as root, and nothing of an image is run here",
        "Make a disk image of the container (bootc-image-builder), and deploy it with deploy_interface direct.",
    ),
    "deploy.generic_container_step": CONTAINERS,
    "deploy.container_clean_step": CONTAINERS,
    "deploy.update_nvidia_nic_firmware_image": NIC_FIRMWARE,
    "deploy.update_nvidia_nic_firmware_settings": NIC_FIRMWARE,
}
"""Steps that IPA has and that are not in the list above: why not, and what to do. Which others a container manager has,
its operator's YAML says: those are unknown steps here.
"""


ON_ROOT_DISK = frozenset({"write_image", "inject_files"})
"""Steps that fail without it: a disk that turns up late is waited for."""


def listed(kind: Kind, inject_priority: int = 0) -> dict[str, list[dict[str, Any]]]:
    """What Ironic may ask for, by who offers it."""
    own = {INJECT: inject_priority}
    return {MASTER: [step.shown(name, kind, own.get(name)) for name, step in STEPS.items() if kind in step.kinds]}


def known(kind: Kind, interface: str, name: str) -> Step:
    """Raises `InputError`, which lists what there is."""
    if f"{interface}.{name}" in REFUSED:
        told, hint = REFUSED[f"{interface}.{name}"]
        raise InputError(f"beginning {kind} step {interface}.{name}", told, hint=hint)
    step = STEPS.get(f"{interface}.{name}")
    if step is None or kind not in step.kinds:
        there = ", ".join(one for one, row in STEPS.items() if kind in row.kinds)
        raise InputError(f"beginning {kind} step {interface}.{name}", f"there is no such step; there are {there}")
    return step


def told(name: str, result: Result) -> str:
    """What came of it, for Ironic's log."""
    facts = ", ".join(f"{fact} {value}" for fact, value in result.items())
    return f"{name}: {facts or 'done'}"
