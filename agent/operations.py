# SPDX-License-Identifier: Apache-2.0
"""Floor 4, THE TABLE: every verb the agent knows, one row each: where it may run and who plans it.

A verb is added by a request model, a planner, steps with their `apply` functions, and a row here. Every face (the
controller's requests, the operator's command, later Ironic's) goes through this table and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import assert_never

from agent.apply.alone import alone
from agent.apply.boot import forget_boot, select_boot
from agent.apply.config_drive import place_config_drive
from agent.apply.erase import leave_disk
from agent.apply.filesystem import make_filesystem
from agent.apply.holder import stop_holder
from agent.apply.image import write_image
from agent.apply.inject import inject_files
from agent.apply.loader import install_loader
from agent.apply.mirror_loader import mirror_loader
from agent.apply.pstore import erase_pstore
from agent.apply.raid import build_raid
from agent.apply.seal import seal_disk
from agent.errors import InputError, ToolMissing
from agent.host.doors import Host
from agent.inventory import take
from agent.inventory.array import arrays
from agent.inventory.disk import disks
from agent.inventory.efi import firmware_architecture, firmware_boot, system_partitions
from agent.inventory.once import UdevAsItIs
from agent.inventory.partition_tags import known_partitions, partition_tags
from agent.inventory.partitions import partitions_known
from agent.model.burn_in import BurnIn
from agent.model.disk import Disk, DiskIdentity, DiskPartition
from agent.model.efi import FirmwareBoot, SystemPartition
from agent.model.image import ImagePolicy, ImageRef
from agent.model.inject import InjectFiles
from agent.model.inventory import Inventory
from agent.model.job import Advance, Result
from agent.model.leftovers import ResetPlatform
from agent.model.plan import (
    BuildRaid,
    CaptureDisk,
    DiskMustBe,
    DiskMustBeIdle,
    Epilogue,
    EraseDisks,
    ErasePstore,
    ForgetBoot,
    InstallLoader,
    LeaveDisk,
    MakeFilesystem,
    MirrorLoader,
    PlaceConfigDrive,
    Plan,
    Precondition,
    SealDisk,
    SelectBoot,
    Step,
    StopHolder,
    WipeMetadata,
    WriteImage,
)
from agent.model.protocol import Mode
from agent.model.raid import RunningArray
from agent.model.request import (
    BurnInRequest,
    CaptureRequest,
    CreateRaidRequest,
    DeleteRaidRequest,
    DeployRequest,
    ErasePstoreRequest,
    EraseRequest,
    ForgetBootRequest,
    InjectRequest,
    PowerOffRequest,
    RebootRequest,
    Request,
    SelectBootRequest,
    ValidateRequest,
)
from agent.model.url import named
from agent.model.validation import Validate
from agent.plan.array_root import besides_mirrors, bootable, disks_of_mirror
from agent.plan.boot import plan_forget_boot, plan_select_boot, plan_select_mirrored
from agent.plan.boot_left import with_old_ones_forgotten
from agent.plan.capture import plan_capture
from agent.plan.check import check
from agent.plan.disk import disks_of, must_be_still, select
from agent.plan.erase import is_local, plan_erase
from agent.plan.guard import must_not_be_shared
from agent.plan.image import NO_POLICY, plan_deploy
from agent.plan.inject import plan_inject
from agent.plan.layout import Seen, plan_layout
from agent.plan.left import arrays_of
from agent.plan.leftovers import with_platform_reset
from agent.plan.power import plan_power
from agent.plan.raid import plan_create_raid, plan_delete_raid

ANYWHERE: frozenset[Mode] = frozenset({"ramdisk", "service"})
RAMDISK: frozenset[Mode] = frozenset({"ramdisk"})


@dataclass(frozen=True)
class Verb:
    """A row: what it is for, and in which modes the controller may ask for it."""

    summary: str
    modes: frozenset[Mode]


VERBS: Mapping[str, Verb] = {
    "image.deploy": Verb("write an OS image and a config drive to a disk, and reboot into it", RAMDISK),
    "image.capture": Verb("read a disk into an image that other servers can be made of", RAMDISK),
    "disk.erase": Verb("erase local disks and prove it by reading back", RAMDISK),
    "raid.create": Verb("make software RAID arrays of local disks", RAMDISK),
    "raid.delete": Verb("take software RAID arrays down, and wipe their disks' metadata", RAMDISK),
    "boot.select": Verb("let the firmware boot a disk: its loader first in the boot order", RAMDISK),
    "boot.forget": Verb("remove boot entries of the firmware's", RAMDISK),
    "pstore.erase": Verb("remove what crashed kernels left in the platform's memory", RAMDISK),
    "disk.inject": Verb("put files into the system on a disk", RAMDISK),
    "hardware.burn_in": Verb("put hardware under load and verify what it does", RAMDISK),
    "hardware.validate": Verb("test hardware and judge what is found; disks are read only, unless named", RAMDISK),
    "power.reboot": Verb("reboot the machine", ANYWHERE),
    "power.off": Verb("power the machine off", ANYWHERE),
}


class Operations:
    """The table at work on one host: the executor's `Doer`. The network has `networking.py`."""

    def __init__(
        self,
        host: Host,
        mode: Mode | None,
        spool: str,
        images: ImagePolicy = NO_POLICY,
        *,
        shared_too: bool = False,
        writer: str | None = None,
    ) -> None:
        """`mode` is None for an operator at the keyboard, who may do everything; `spool` holds a disk's head;
        `shared_too` is said by who booted this machine, for whatever is asked of it; `writer` is the socket of the
        process that fetches and writes images, if there is one.
        """
        self._writer = writer
        self._shared_too = shared_too
        self._images = images
        self._host = host
        self._mode = mode
        self._spool = spool

    def plan(self, request: Request, begun: tuple[DiskIdentity, ...] = ()) -> Plan:
        """Observe, plan, check. Raises `AgentError`; nothing was touched."""
        if self._mode is not None and self._mode not in VERBS[request.verb].modes:
            raise InputError(f"planning {request.verb}", f"it may not be asked of an agent in {self._mode} mode")
        if self._shared_too and "shared_too" in type(request).model_fields:
            request = request.model_copy(update={"shared_too": True})
        try:
            return check(self._planned(request, begun))
        except ToolMissing:
            self._with_udev_as_it_is()._planned(request, begun)  # a disk that is not there is worth saying before
            raise

    def _with_udev_as_it_is(self) -> Operations:
        """The same, which waits for no events. Only to judge a request by: what a disk holds may not be known yet."""
        host = replace(self._host, udev=UdevAsItIs(self._host.udev))
        return Operations(host, self._mode, self._spool, self._images, shared_too=self._shared_too)

    def _planned(self, request: Request, begun: tuple[DiskIdentity, ...]) -> Plan:
        match request:
            case DeployRequest():
                self._must_be_remote(request.image)
                return self._unshared(self._deploy_planned(request, begun), request.shared_too or bool(begun))
            case CaptureRequest():
                self._must_not_name_files(request)
                return plan_capture(self._inventory(), request)
            case EraseRequest():
                return self._erase_planned(request, begun)
            case CreateRaidRequest():
                return plan_create_raid(self._inventory(), request, begun)
            case DeleteRaidRequest():
                return plan_delete_raid(self._inventory(), request, begun)
            case SelectBootRequest() | ForgetBootRequest():
                return self._boot_planned(request)
            case ErasePstoreRequest():
                return Plan(steps=(ErasePstore(),))
            case InjectRequest():
                return plan_inject(self._inventory(), request, partition_tags(self._host))
            case BurnInRequest():
                from agent.plan.burn_in import plan_burn_in

                return plan_burn_in(self._inventory(), request, self._spool, begun)
            case ValidateRequest():
                from agent.plan.validate import plan_validate

                seen = self._inventory() if request.wipe else take(self._host)  # who only reads waits for no udev
                return plan_validate(seen, request, self._spool, begun)
            case RebootRequest() | PowerOffRequest():
                return plan_power(request)
        assert_never(request)

    def _deploy_planned(self, request: DeployRequest, begun: tuple[DiskIdentity, ...]) -> Plan:
        """What a disk's table holds matters where a partition of it may be preserved, and is looked at then."""
        inventory = self._inventory()
        if request.layout is None:
            return plan_deploy(inventory, request, self._spool, begun, self._images)
        disk = select(disks_of(inventory), request.root_device, request.skip, arrays_of(inventory))
        seen = Seen(architecture=firmware_architecture(self._host), partitions=partitions_known(self._host, disk))
        plan = plan_layout(disk, seen, request, self._spool, besides_mirrors(inventory, begun), self._images)
        return bootable(inventory, disk, plan, request.skip)

    def _erase_planned(self, request: EraseRequest, begun: tuple[DiskIdentity, ...]) -> Plan:
        """What drives can do is asked of those that may be meant; to wipe metadata nothing has to be known."""
        from agent.inventory.erasing import abilities
        from agent.inventory.leftovers import leftovers

        inventory = self._inventory()
        asked = () if request.method == "metadata" else tuple(filter(is_local, disks_of(inventory)))
        all_of_it = request.serials is None and not request.skip
        plan = plan_erase(inventory, request, begun, abilities(self._host, asked, all_of_it=all_of_it))
        if not request.platform:
            return plan
        return with_platform_reset(plan, request, firmware_boot(self._host), leftovers(self._host, inventory))

    def _unshared(self, plan: Plan, allowed: bool) -> Plan:
        """A disk that other machines may be using is written to only if its loss is allowed. Raises `DiskShared`."""
        pinned = {one.disk for one in plan.preconditions}
        found = tuple(one for planned in pinned for one in self._disks(planned) if one.identity == planned)
        must_not_be_shared(found, allowed=allowed)
        return plan

    def _boot_planned(self, request: SelectBootRequest | ForgetBootRequest) -> Plan:
        """With a BIOS there is nothing. With an entry that is made, those of ours go that lead nowhere any more."""
        firmware = firmware_boot(self._host)
        if firmware is None:
            return Plan()
        if isinstance(request, ForgetBootRequest):
            return plan_forget_boot(firmware, request)
        plan = self._selection_planned(firmware, request)
        return with_old_ones_forgotten(plan, firmware, known_partitions(self._host))

    def _selection_planned(self, firmware: FirmwareBoot, request: SelectBootRequest) -> Plan:
        """What a disk has to boot is looked at once it is known which disk is meant."""
        inventory = self._inventory()
        disk = select(disks_of(inventory), request.root_device, request.skip, arrays_of(inventory))
        if isinstance(disk, RunningArray):
            mirrored = tuple((one, self._mirrored_on(one, mirror)) for one, mirror in disks_of_mirror(inventory, disk))
            return plan_select_mirrored(disk, firmware, mirrored, request)
        return plan_select_boot(disk, firmware, system_partitions(self._host, disk), request)

    def _mirrored_on(self, disk: Disk, place: DiskPartition) -> tuple[SystemPartition, ...]:
        """What firmware finds there."""
        found = system_partitions(self._host, disk)
        return tuple(one for one in found if one.partition.first_lba * disk.logical_sector_bytes == place.offset_bytes)

    def _must_be_remote(self, image: ImageRef) -> None:
        """Only an operator may name a file of this machine: a controller could have its secrets written to a disk."""
        if self._mode is not None and image.local_places:
            raise InputError("planning image.deploy", f"{named(image.local_places[0])} is a file of this machine")

    def _must_not_name_files(self, request: CaptureRequest) -> None:
        """Files and device nodes are for an operator, who knows what they are on this machine now."""
        if self._mode is not None and (request.path or not request.to.startswith("http")):
            raise InputError("planning image.capture", "it names a file or a device node of this machine")

    def _inventory(self) -> Inventory:
        self._host.udev.settle()
        return take(self._host)

    def alone(self, plan: Plan) -> AbstractContextManager[None]:
        """Nobody else's order has the plan's disks for as long. Raises `DiskInUse`, `HostError`."""
        return alone(self._host, (one.disk.path for one in plan.preconditions))

    def hold(self, precondition: Precondition) -> None:
        """Raises `PreconditionError` if it does not hold now."""
        match precondition:
            case DiskMustBe():
                there, grows = self._disks(precondition.disk), precondition.grows_bytes
                must_be_still(there, precondition.disk, besides=precondition.holders, grows_bytes=grows)
            case DiskMustBeIdle():
                must_be_still(self._disks(precondition.disk), precondition.disk, to_write=False)
            case _:
                assert_never(precondition)

    def _disks(self, planned: DiskIdentity) -> tuple[Disk, ...]:
        """Those among which it must be."""
        return arrays(self._host) if planned.array_uuid else disks(self._host)

    def do(self, step: Step, advance: Advance) -> Result:
        """Act. Raises `AgentError`. What is large is imported by who does it: writing an image has 80 MB for all."""
        match step:
            case WriteImage() | PlaceConfigDrive() | MakeFilesystem() | InstallLoader() | SealDisk() | MirrorLoader():
                return self._deploy(step, advance)
            case EraseDisks() | LeaveDisk() | WipeMetadata() | StopHolder():
                return self._erase(step, advance)
            case BuildRaid():
                return build_raid(self._host, step, advance)
            case CaptureDisk():
                from agent.apply.capture.take import capture_disk

                return capture_disk(self._host, step, advance)
            case SelectBoot():
                return select_boot(self._host, step)
            case ForgetBoot():
                return forget_boot(self._host, step)
            case ErasePstore():
                return erase_pstore(self._host)
            case ResetPlatform():
                from agent.apply.leftovers import reset_platform

                return reset_platform(self._host, step)
            case InjectFiles():
                return inject_files(self._host, step, advance, self._writer)
            case BurnIn():
                from agent.apply.burn_in import burn_in

                return burn_in(self._host, step, advance, self.hold)
            case Validate():
                from agent.apply.validation import validate
                from agent.inventory.sight import FullSight

                return validate(self._host, step, advance, FullSight(self._host), self.hold)
        assert_never(step)

    def _erase(self, step: EraseDisks | LeaveDisk | WipeMetadata | StopHolder, advance: Advance) -> Result:
        match step:
            case EraseDisks():
                from agent.apply.erase_many import erase_disks

                return erase_disks(self._host, step, advance, self.hold, self._spool.rpartition("/")[0])
            case LeaveDisk():
                return leave_disk(step)
            case WipeMetadata():
                from agent.apply.metadata import wipe_metadata

                return wipe_metadata(self._host, step, advance)
            case StopHolder():
                return stop_holder(self._host, step, advance)
        assert_never(step)

    def _deploy(
        self,
        step: WriteImage | PlaceConfigDrive | MakeFilesystem | InstallLoader | SealDisk | MirrorLoader,
        advance: Advance,
    ) -> Result:
        match step:
            case WriteImage():
                return write_image(self._host, step, advance, self._writer)
            case PlaceConfigDrive():
                return place_config_drive(self._host, step, advance)
            case MakeFilesystem():
                return make_filesystem(self._host, step, advance)
            case InstallLoader():
                return install_loader(self._host, step, advance)
            case SealDisk():
                return seal_disk(self._host, step, advance)
            case MirrorLoader():
                return mirror_loader(self._host, step, advance)
        assert_never(step)

    def end(self, epilogue: Epilogue) -> None:
        """End this boot."""
        match epilogue:
            case Epilogue.REBOOT:
                self._host.power.reboot()
            case Epilogue.POWER_OFF:
                self._host.power.power_off()
