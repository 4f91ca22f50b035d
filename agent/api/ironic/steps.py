# SPDX-License-Identifier: Apache-2.0
"""THE TABLE of steps: names of IPA's, since runbooks and deploy templates in operators' databases have them; what each
does is an operation of ours. Ironic's lists of steps are made of it.

Interfaces, priorities and arguments: ironic_python_agent/hardware.py (`GenericHardwareManager.get_clean_steps` …).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.api.ironic.translate import deploy_request, erase_request, forget_request
from agent.errors import InputError
from agent.model.ironic.wire import MASTER, Node
from agent.model.job import Result
from agent.model.request import Request

Kind = Literal["clean", "deploy", "service"]
KINDS: tuple[Kind, ...] = ("clean", "deploy", "service")


@dataclass(frozen=True)
class Asked:
    """A step that is to be done, under this request id."""

    request_id: str
    node: Node
    args: dict[str, Any]


@dataclass(frozen=True)
class Argument:
    """Of a step."""

    description: str
    required: bool = False


@dataclass(frozen=True)
class Step:
    """A row. `priority`: 0 is for who names it, higher ones are done by themselves in automated cleaning."""

    kinds: frozenset[Kind]
    request: Callable[[Asked], Request]
    interface: str = "deploy"
    priority: int = 0
    arguments: dict[str, Argument] = field(default_factory=dict)

    def shown(self, name: str, kind: Kind) -> dict[str, Any]:
        """As Ironic reads it."""
        found: dict[str, Any] = {
            "step": name.rpartition(".")[2],
            "priority": self.priority if kind == "clean" else 0,
            "interface": self.interface,
            "reboot_requested": False,
        }
        if kind == "clean":
            found["abortable"] = True
        if self.arguments:
            found["argsinfo"] = {
                argument: {"description": one.description, "required": one.required}
                for argument, one in self.arguments.items()
            }
        return found


def erase(method: Literal["zero", "metadata"]) -> Callable[[Asked], Request]:
    """Every local disk, but those that are to be passed over."""

    def request(asked: Asked) -> Request:
        return erase_request(asked.request_id, asked.node, method)

    return request


def written(asked: Asked) -> Request:
    """An image, and a config drive."""
    return deploy_request(asked.request_id, asked.node, asked.args)


def forgotten(asked: Asked) -> Request:
    """Boot entries of the firmware's."""
    return forget_request(asked.request_id, asked.node, asked.args)


PATTERNS = {"match_patterns": Argument("regular expressions; entries whose path has one of them are removed")}
IMAGE = {
    "image_info": Argument("what Ironic says of the image: urls, disk_format, digest", required=True),
    "configdrive": Argument("URL, or base64 of a filesystem packed with gzip"),
}
CLEAN: frozenset[Kind] = frozenset({"clean"})
CLEAN_DEPLOY: frozenset[Kind] = frozenset({"clean", "deploy"})
DEPLOY_SERVICE: frozenset[Kind] = frozenset({"deploy", "service"})
STEPS: dict[str, Step] = {
    "deploy.erase_devices": Step(CLEAN, erase("zero"), priority=10),
    "deploy.erase_devices_metadata": Step(CLEAN_DEPLOY, erase("metadata"), priority=99),
    # of a drive that can forget everything at once, IPA's leaves nothing; one that cannot tell says too little
    "deploy.erase_devices_express": Step(CLEAN, erase("zero")),
    "deploy.clean_uefi_nvram": Step(CLEAN_DEPLOY, forgotten, arguments=PATTERNS),
    "deploy.write_image": Step(DEPLOY_SERVICE, written, arguments=IMAGE),
}


def listed(kind: Kind) -> dict[str, list[dict[str, Any]]]:
    """What Ironic may ask for, by who offers it."""
    return {MASTER: [step.shown(name, kind) for name, step in STEPS.items() if kind in step.kinds]}


def known(kind: Kind, interface: str, name: str) -> Step:
    """Raises `InputError`, which lists what there is."""
    step = STEPS.get(f"{interface}.{name}")
    if step is None or kind not in step.kinds:
        there = ", ".join(one for one, row in STEPS.items() if kind in row.kinds)
        raise InputError(f"beginning {kind} step {interface}.{name}", f"there is no such step; there are {there}")
    return step


def told(name: str, result: Result) -> str:
    """What came of it, for Ironic's log."""
    facts = ", ".join(f"{fact} {value}" for fact, value in result.items())
    return f"{name}: {facts or 'done'}"
