# SPDX-License-Identifier: Apache-2.0
"""Software RAID by Ironic's steps on a fake machine: made, kept, deployed to, booted from, deleted; and its words."""

from __future__ import annotations

import uuid
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from agent.api.ironic.commands import Outcome, outcome_of
from agent.api.ironic.raid import array_names, asked_for, create_request, has_arrays, root_array, software
from agent.api.ironic.record import Order
from agent.api.ironic.steps import listed
from agent.api.ironic.table import table
from agent.api.ironic.translate import root_hints, skipped
from agent.errors import AgentError, InputError
from agent.host.fake import Died, Effect, FakeHost, FaultPlan, Machine
from agent.model import gpt
from agent.model.device_hints import OperatorHints
from agent.model.efi import decode_order
from agent.model.filesystem.fat_files import FatFiles
from agent.model.ironic.wire import Node
from tests.api.ironic.asked import DRIVE, ISO, image_info, node
from tests.api.ironic.served import UUID
from tests.api.ironic.test_steps import work_on
from tests.apply.arrays import GIB, two_disks
from tests.apply.disks import MIB, disk_of, serve
from tests.apply.test_boot import FILES
from tests.efi import SmallFat, head_with

ROOT = {"size_gb": 1, "raid_level": "1", "controller": "software", "volume_name": "root", "is_root_volume": True}
DATA = {"size_gb": "MAX", "raid_level": "0", "controller": "software", "volume_name": "data"}
ARRAYS = {"logical_disks": [ROOT, DATA]}
ESP = SmallFat(FILES).image
IMAGE = head_with(ESP) + b"tenant".ljust(2 * MIB, b"\0")
NUMBERS = count()
VARIABLES = {"Timeout": b"\0\0"}


def uefi() -> Machine:
    """Two disks, and firmware that has no entry yet."""
    made = two_disks()
    made.variables = dict(VARIABLES)
    made.tree.put("/proc/sys/kernel/arch", b"x86_64\n")
    made.tree.put("/sys/firmware/efi/fw_platform_size", b"64\n")
    return made


def ordered(host: FakeHost, name: str, **params: Any) -> Outcome:
    """A command, carried out by a process."""
    return outcome_of(table(work_on(host))[name], Order(id=f"command-{next(NUMBERS)}", name=name, params=params))


def step(host: FakeHost, kind: str, name: str, args: dict[str, Any] | None = None, **about: Any) -> Outcome:
    """A step of this interface."""
    interface, _, word = name.partition(".")
    asked = {"interface": interface, "step": word, "args": args or {}}
    known = node(**({"properties": {}} | about))
    return ordered(host, f"{kind}.execute_{kind}_step", step=asked, node=known)


def made_in(machine: Machine) -> Outcome:
    """The arrays."""
    return step(FakeHost.of(machine), "clean", "raid.create_configuration", target_raid_config=ARRAYS)


def written_in(machine: Machine, faults: FaultPlan | None = None) -> Outcome:
    """The image, to the root volume."""
    args = {"image_info": image_info(serve(machine, IMAGE)), "configdrive": DRIVE}
    return step(FakeHost.of(machine, faults), "deploy", "deploy.write_image", args, raid_config=ARRAYS)


def result(outcome: Outcome) -> dict[str, Any]:
    """What Ironic is told; it went well."""
    assert outcome.error is None and outcome.result is not None, outcome.error
    return outcome.result


def member(number: int) -> bytes:
    """The beginning of a disk under the mirror: each partition has a GUID of its own."""
    head = bytearray(head_with(ESP))
    table = gpt.parse(bytes(head), 512)
    own = replace(table, entries=(replace(table.entries[0], guid=uuid.UUID(int=number)),))
    array = gpt.array_of(own, bytes(128 * 128))
    head[512:1024], head[1024 : 1024 + len(array)] = gpt.header_of(own, array, backup=False), array
    return bytes(head)


def mirror_holds(machine: Machine) -> bool:
    """Whether firmware finds the image's ESP in the mirror."""
    return disk_of(machine, "/dev/md2").durable.read(0, len(ESP)) == ESP


def test_what_ironic_keeps() -> None:
    """Made arrays are told as they were asked for; deleted ones leave blank disks; made again by a deploy step."""
    machine = uefi()
    assert result(made_in(machine))["clean_result"] == ARRAYS
    assert {"md0", "md1", "md2"} <= machine.tree.directories["/sys/block"]

    deleted = result(step(FakeHost.of(machine), "clean", "raid.delete_configuration", raid_config=ARRAYS))
    assert "wiped S0" in deleted["clean_result"]
    assert not {"md0", "md1", "md2"} & machine.tree.directories["/sys/block"]


def test_applied_in_a_deploy() -> None:
    """Present arrays are deleted before, unless the step says no; then they are in the way."""
    machine = uefi()
    made_in(machine)
    fewer = {"logical_disks": [ROOT]}
    kept = step(
        FakeHost.of(machine), "service", "raid.apply_configuration", {"raid_config": fewer, "delete_existing": False}
    )
    assert kept.error is not None and "is held by md0" in kept.error.details

    applied = result(step(FakeHost.of(machine), "deploy", "raid.apply_configuration", {"raid_config": fewer}))
    assert applied["deploy_result"] == fewer
    assert applied["deploy_step"] == {"interface": "raid", "step": "apply_configuration"}


def test_a_config_that_cannot_be_read_deletes_nothing() -> None:
    """Present arrays stay where the new ones could not be made anyway."""
    machine = uefi()
    made_in(machine)
    wrong = {"logical_disks": [{**ROOT, "raid_level": "5+0"}]}
    outcome = step(FakeHost.of(machine), "deploy", "raid.apply_configuration", {"raid_config": wrong})

    assert outcome.error is not None and "raid_level" in outcome.error.details
    assert {"md0", "md1"} <= machine.tree.directories["/sys/block"]


def test_disks_that_hold_anything_are_not_made_arrays_of() -> None:
    """As IPA refuses disks with partitions: whoever wants that deletes or erases first."""
    machine = uefi()
    udev = {**machine.record.udev, "sda": {**machine.record.udev["sda"], "ID_FS_TYPE": "xfs"}}
    machine.record = machine.record.model_copy(update={"udev": udev})
    outcome = made_in(machine)

    assert outcome.error is not None and "DISK.HOLDS_DATA" in outcome.error.details


def test_a_deploy_to_the_root_volume() -> None:
    """Without hints: the image and its config drive are on the array, its ESP in the mirror and no more inside; every
    disk gets an entry.
    """
    machine = uefi()
    made_in(machine)
    told = result(written_in(machine))["deploy_result"]
    root = disk_of(machine, "/dev/md0")

    assert "mirrored_loader_bytes" in told
    assert root.durable.read(len(IMAGE) - 2 * MIB, 6) == b"tenant"
    assert root.durable.read(GIB - 65 * MIB, len(ISO)) == ISO
    assert mirror_holds(machine) and not any(root.durable.read(MIB, len(ESP)))
    fat = FatFiles(disk_of(machine, "/dev/md2").read, len(ESP))
    assert fat.find("/EFI/debian/shimx64.efi") == "/EFI/debian/SHIMX64.EFI"
    uuids = ordered(FakeHost.of(machine), "standby.get_partition_uuids")
    assert result(uuids) == {"root uuid": "0x00000000"}

    for number, path in enumerate(("/dev/sda", "/dev/sdb"), start=1):  # the members' bytes, as the kernel mirrors them
        disk_of(machine, path).write(0, member(number))
    entries = ordered(FakeHost.of(machine), "image.install_bootloader", target_boot_mode="uefi")
    assert entries.error is None, entries.error
    assert machine.variables is not None and len(decode_order(machine.variables["BootOrder"])) == 2


def test_an_esp_that_is_larger_than_the_mirror() -> None:
    """It is seen in the image's table, and refused before a byte of the image is on the array."""
    machine = uefi()
    made_in(machine)
    whole = gpt.parse(IMAGE, 512)
    large = replace(whole, entries=(replace(whole.entries[0], last_lba=600 * MIB // 512),))
    array = gpt.array_of(large, bytes(128 * 128))
    head = bytearray(IMAGE)
    head[512:1024], head[1024 : 1024 + len(array)] = gpt.header_of(large, array, backup=False), array
    root = disk_of(machine, "/dev/md0")
    root.durable.write(MIB, b"the tenant before")

    args = {"image_info": image_info(serve(machine, bytes(head))), "configdrive": DRIVE}
    outcome = step(FakeHost.of(machine), "deploy", "deploy.write_image", args, raid_config=ARRAYS)
    assert outcome.error is not None and "and the mirror that firmware reads" in outcome.error.details
    assert root.durable.read(MIB, 17) == b"the tenant before"


def test_burn_in_leaves_the_arrays() -> None:
    """A test is no reason to lose what Ironic has made: it is refused, and says what to do first."""
    machine = uefi()
    made_in(machine)
    outcome = step(FakeHost.of(machine), "clean", "deploy.burnin_disk", raid_config=ARRAYS)

    assert outcome.error is not None and "delete_configuration" in outcome.error.details
    assert {"md0", "md1", "md2"} <= machine.tree.directories["/sys/block"]


def test_a_bios_gets_no_array_as_root() -> None:
    """It could not boot: said before anything is written."""
    machine = two_disks()
    made_in(machine)
    outcome = written_in(machine)

    assert outcome.error is not None and "booted by a BIOS" in outcome.error.details
    assert not any(disk_of(machine, "/dev/md0").durable.read(0, MIB))


def test_cleaning_keeps_the_arrays() -> None:
    """Of a node with arrays what they hold is erased, that they are there is not."""
    machine = uefi()
    made_in(machine)
    assert written_in(machine).error is None
    told = result(step(FakeHost.of(machine), "clean", "deploy.erase_devices_metadata", raid_config=ARRAYS))

    assert "skipped S0 under the array root, which stays" in told["clean_result"]
    assert not mirror_holds(machine) and not any(disk_of(machine, "/dev/md0").durable.read(0, MIB))
    assert {"md0", "md1", "md2"} <= machine.tree.directories["/sys/block"]


def test_a_skipped_array_is_not_written() -> None:
    """Neither by erasing, nor by deleting, nor by making arrays, nor as root."""
    machine = uefi()
    made_in(machine)
    data = disk_of(machine, "/dev/md1")
    data.write(0, b"precious")
    data.flush()
    skip = [{"volume_name": "data"}]
    known: dict[str, Any] = {"properties": {"skip_block_devices": skip}, "raid_config": ARRAYS}
    for name in ("deploy.erase_devices", "deploy.erase_devices_metadata", "raid.delete_configuration"):
        assert step(FakeHost.of(machine), "clean", name, **known).error is None
    again = step(FakeHost.of(machine), "clean", "raid.create_configuration", target_raid_config=ARRAYS, **known)
    hints: dict[str, Any] = {**known, "instance_info": {"root_device": {"name": "/dev/md1"}}}
    args = {"image_info": image_info(serve(machine, IMAGE))}
    written = step(FakeHost.of(machine), "deploy", "deploy.write_image", args, **hints)

    assert again.error is None and written.error is not None
    assert "is to be skipped by volume_name data" in written.error.details
    assert data.durable.read(0, 8) == b"precious"
    assert {"md0", "md1", "md2"} <= machine.tree.directories["/sys/block"]


@pytest.mark.parametrize("effect", [Effect.FAIL, Effect.DIE_AFTER])
def test_every_fault_of_a_deploy(effect: Effect) -> None:
    """Whichever call fails or is the last: firmware finds a loader only when all of the image is there."""
    counted, clean = FaultPlan(), uefi()
    made_in(clean)
    assert written_in(clean, counted).error is None
    for at in range(1, len(counted.calls), max(1, len(counted.calls) // 40)):
        machine = uefi()
        made_in(machine)
        try:
            outcome = written_in(machine, FaultPlan(at=at, effect=effect))
            is_done = outcome.error is None
        except (AgentError, Died):
            is_done = False
        if is_done or any(disk_of(machine, "/dev/md2").durable.read(0, 512)):
            assert mirror_holds(machine), counted.calls[at - 1]
            assert disk_of(machine, "/dev/md0").durable.read(len(IMAGE) - 2 * MIB, 6) == b"tenant"


def of(**known: Any) -> Node:
    """A node."""
    return Node.model_validate({"uuid": UUID, **known})


def test_which_array_is_root() -> None:
    """Hints come first; then the root volume; /dev/md0 is what was made first, where the places are beyond doubt."""
    nameless = {"logical_disks": [{**ROOT, "volume_name": None}, {**DATA, "volume_name": None}]}
    hint = {"properties": {"root_device": {"wwn": "0x1"}}}
    by_node = {"properties": {"root_device": {"name": "/dev/md1"}}}
    swapped = {"logical_disks": [{**ROOT, "size_gb": "MAX"}, {**DATA, "size_gb": 1}]}

    assert root_hints(of(raid_config=ARRAYS)).specs == {"volume_name": "s== root"}
    assert root_hints(of(raid_config=nameless)).specs == {"volume_name": "s== md0"}
    assert root_hints(of(raid_config=ARRAYS, **hint)).specs == {"wwn": "0x1"}
    assert root_hints(of(raid_config=ARRAYS, **by_node)).specs == {"volume_name": "s== data"}
    assert root_hints(of(raid_config=swapped, **by_node)).specs == {"name": "/dev/md1"}
    assert root_array(of(raid_config={"logical_disks": [DATA]}), OperatorHints(specs={})).specs == {}
    assert skipped(of(properties={"skip_block_devices": [{"volume_name": "x"}]}))[0].specs == {"volume_name": "x"}


def test_arrays_to_be_skipped_by_their_nodes() -> None:
    """They run, to be known; /dev/md1 is the array that was made second, as for hints; a disk's node needs no array."""
    skip = {"properties": {"skip_block_devices": [{"name": "/dev/md1"}]}}
    disk = {"properties": {"skip_block_devices": [{"name": "/dev/sdb"}]}}

    assert skipped(of(raid_config=ARRAYS, **skip))[0].specs == {"volume_name": "s== data"}
    assert skipped(of(**skip))[0].specs == {"name": "/dev/md1"}
    nameless = {"logical_disks": [{**ROOT, "volume_name": None}, {**DATA, "volume_name": None}]}
    (second,) = skipped(of(raid_config=nameless, **skip))
    assert second.specs == {"volume_name": "s== md1"}
    assert create_request("r", of(), nameless, (second,)).skip == (second,)
    assert has_arrays(of(**skip)) and not has_arrays(of(**disk))


@pytest.mark.parametrize("config", [None, {}, {"logical_disks": None}, {"logical_disks": ["x", 1]}, [], "x"])
def test_what_is_no_configuration(config: Any) -> None:
    """A node without arrays has none, whatever stands there; making them of it is refused."""
    assert software(config) == ()
    with pytest.raises(InputError):
        create_request("r", of(), config, ())


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"logical_disks": [{**ROOT, "controller": "raid.0"}]}, "not of controller 'software'"),
        ({"logical_disks": [{**ROOT, "size_gb": 0}]}, "size_gb"),
        ({"logical_disks": [{**ROOT, "volume_name": "esp"}]}, "the name of the mirrored EFI system partitions"),
        ({"logical_disks": [{**ROOT, "number_of_physical_disks": 2}]}, "number_of_physical_disks"),
        ({"logical_disks": [{**ROOT, "physical_disks": ["/dev/sda", "/dev/sdb"]}]}, "physical_disks"),
        ({"logical_disks": [{**ROOT, "physical_disks": [{"colour": "red"}, {}]}]}, "there is no hint colour"),
    ],
)
def test_configurations_that_are_refused(config: dict[str, Any], told: str) -> None:
    """What would not be heeded is not passed over."""
    with pytest.raises(InputError, match=told):
        create_request("r", of(), config, ())


def test_configurations_as_ironic_writes_them() -> None:
    """Hints for disks are plain objects; names are needed where one array is to be skipped by its name."""
    disks = [{"size": "> 100"}, {"rotational": "no"}]
    given = {
        "logical_disks": [
            {**ROOT, "physical_disks": disks, "share_physical_disks": True},
            {**DATA, "volume_name": None},
        ]
    }
    request = create_request("r", of(), given, ())

    assert [hints.specs for hints in request.logical_disks[0].physical_disks] == disks
    assert array_names(of(raid_config=given)) == ("root", "md1")
    with pytest.raises(InputError, match="not every logical disk has one"):
        create_request("r", of(), given, (OperatorHints(specs={"volume_name": "root"}),))


def test_root_or_others_alone() -> None:
    """The arguments that Ironic's own step has."""
    about = of(target_raid_config=ARRAYS)

    assert asked_for(about, {"create_root_volume": False})["logical_disks"] == [DATA]
    assert asked_for(about, {"create_nonroot_volumes": False})["logical_disks"] == [ROOT]
    assert asked_for(about, {"create_root_volume": True}) == ARRAYS


def test_steps_are_offered_as_by_ipa() -> None:
    """Names, interface and kinds."""
    offered = {
        kind: {one["step"] for one in listed(kind)["generic_hardware_manager"] if one["interface"] == "raid"}
        for kind in ("clean", "deploy", "service")
    }

    assert offered == {
        "clean": {"create_configuration", "delete_configuration"},
        "deploy": {"apply_configuration"},
        "service": {"create_configuration", "delete_configuration", "apply_configuration"},
    }
