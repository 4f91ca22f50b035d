# SPDX-License-Identifier: Apache-2.0
"""Ironic's words about software RAID: its arrays, requests of ours to make and delete them, and what it is to keep.

Ironic keeps the result of making arrays as the node's `raid_config` (ironic/drivers/modules/agent.py,
`_create_configuration_final`); by it later boots know which arrays are its own. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from agent.errors import InputError
from agent.model.device_hints import OperatorHints, SkipList
from agent.model.frozen import faults
from agent.model.ironic.wire import Node
from agent.model.raid import LogicalDisks
from agent.model.request import CreateRaidRequest, DeleteRaidRequest

IGNORED = "share_physical_disks"
"""Ours always do."""
PLACE = re.compile(r"/dev/md([0-9]+)")
BY_PLACE = re.compile(r"s== md[0-9]+")
"""What `in_order_of_making` makes of the node of an array that has no name of its own."""
Config = dict[str, Any]


def software(config: object) -> tuple[Config, ...]:
    """The logical disks of a RAID configuration that are software's; nothing for whatever is none."""
    logical = config.get("logical_disks") if isinstance(config, dict) else None
    found = [one for one in logical if isinstance(one, dict)] if isinstance(logical, list) else []
    return tuple(one for one in found if one.get("controller") == "software")


def array_names(node: Node) -> tuple[str, ...]:
    """Of the arrays that Ironic has made of the node's disks, in their order."""
    return tuple(str(one.get("volume_name") or f"md{place}") for place, one in enumerate(software(node.raid_config)))


def has_arrays(node: Node) -> bool:
    """Whether there are arrays to be kept, which must run for that."""
    skip = node.properties.get("skip_block_devices")
    entries = [one for one in skip if isinstance(one, dict)] if isinstance(skip, list) else []
    return bool(array_names(node)) or any("volume_name" in one or "md" in str(one.get("name")) for one in entries)


def root_array(node: Node, hints: OperatorHints) -> OperatorHints:
    """The root volume where nothing else is said."""
    named_arrays = zip(software(node.raid_config), array_names(node), strict=True)
    roots = [name for one, name in named_arrays if one.get("is_root_volume")]
    return named(roots[0]) if not hints.specs and len(roots) == 1 else in_order_of_making(node, hints)


def in_order_of_making(node: Node, hints: OperatorHints) -> OperatorHints:
    """/dev/md0 as the array that was made first: the kernel may give it another number in each boot."""
    arrays, names = software(node.raid_config), array_names(node)
    place = PLACE.fullmatch(str(hints.specs.get("name", ""))) if len(hints.specs) == 1 else None
    is_in_order = all(one.get("size_gb") != "MAX" for one in arrays[:-1])  # IPA makes that one last
    if place and is_in_order and int(place[1]) < len(names):
        return named(names[int(place[1])])
    return hints


def named(name: str) -> OperatorHints:
    """The array of this name, letter for letter."""
    return OperatorHints(specs={"volume_name": f"s== {name}"})


def create_request(request_id: str, node: Node, config: object, skip: SkipList) -> CreateRaidRequest:
    """Of a configuration. Disks that hold anything are refused, as IPA refuses those with partitions: deleting arrays
    blanks theirs. Raises `InputError`.
    """
    given = described(config)
    by_name = [
        one for one in skip if "volume_name" in one.specs and not BY_PLACE.fullmatch(str(one.specs["volume_name"]))
    ]
    if by_name and not all(one.get("volume_name") for one in given):
        told = "skip_block_devices names an array by its volume_name, and not every logical disk has one"
        raise InputError("reading the RAID configuration", told)
    plain = [{name: value for name, value in one.items() if name != IGNORED} for one in given]
    try:
        logical = LogicalDisks.model_validate({"logical_disks": plain}).logical_disks
        return CreateRaidRequest(request_id=request_id, node_id=node.uuid, logical_disks=logical, skip=skip)
    except ValidationError as error:
        raise InputError("reading the RAID configuration", faults(error)) from None


def delete_request(request_id: str, node: Node, skip: SkipList) -> DeleteRaidRequest:
    """All arrays, but for those to be skipped."""
    return DeleteRaidRequest(request_id=request_id, node_id=node.uuid, skip=skip)


def described(config: object) -> tuple[Config, ...]:
    """The logical disks of a configuration, each of which must be software's. Raises `InputError`."""
    doing = "reading the RAID configuration"
    logical = config.get("logical_disks") if isinstance(config, dict) else None
    if not isinstance(logical, list) or not logical:
        told = "it has no logical_disks"
        raise InputError(doing, told, hint="Set the node's target_raid_config.")
    found = software(config)
    if len(found) < len(logical):
        told = "a logical disk is not of controller 'software', and this agent makes no other"
        raise InputError(doing, told, hint="For hardware RAID use the raid_interface of the machine's maker.")
    return found


def asked_for(node: Node, args: dict[str, Any]) -> Config:
    """The configuration of `create_configuration`: the node's, without root or other volumes where that is said."""
    config = node.target_raid_config or {}
    without = [wanted for name, wanted in (("create_root_volume", True), ("create_nonroot_volumes", False))
               if args.get(name) is False]  # fmt: skip
    if not without or not isinstance(config.get("logical_disks"), list):
        return config
    kept = [one for one in config["logical_disks"] if bool(one.get("is_root_volume")) not in without]
    return {**config, "logical_disks": kept}
