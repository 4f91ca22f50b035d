# SPDX-License-Identifier: Apache-2.0
"""What a machine that is well looks like, piece by piece: each test spoils one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from agent.diagnose.rules import Rule
from agent.diagnose.seen import Bootable, Booting, Ending, Gateway, InCharge, NameServer, Place, Seen, Unit
from agent.job.journal import Job
from agent.job.network_record import Held, Pending
from agent.model.disk import Content, Disk, DiskIdentity
from agent.model.efi import BootEntry, FirmwareBoot, LoadOption, PartitionPath, path_to
from agent.model.finding import Finding
from agent.model.hardware.disk import DiskHealth
from agent.model.hardware.sensor import MemoryErrors
from agent.model.inventory import Inventory
from agent.model.job import JobState
from agent.model.ladder import Ladder, Rung, Step
from agent.model.network import Bond, BondMode, BondPort, BondState, LinkState, NetworkConfig, NetworkState, Nic, Route
from agent.model.network.snapshot import Snapshot
from agent.model.space import Space
from agent.model.system import Cpu, Memory, System

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BOOT, EARLIER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
URL = "https://controller.example:8480"
DISK = DiskIdentity(path="/dev/sda", wwn="0x5000c500a1b2c3d4", serial="S1", size_bytes=10**12, logical_sector_bytes=512)
NIC = Nic(name="eno1", mac="02:00:00:00:00:01", current_mac="02:00:00:00:00:01", carrier=True, up=True)
ESP = PartitionPath(1, 2048, 4096, bytes(range(16)), 2)
OTHER_ESP = PartitionPath(1, 2048, 4096, bytes(range(16, 32)), 2)


def fired(rule: Rule, seen: Seen) -> list[str]:
    """The codes of what a rule finds."""
    return [finding.code for finding in rule(seen)]


def only(rule: Rule, seen: Seen) -> Finding:
    """The one finding of a rule."""
    (finding,) = rule(seen)
    return finding


def link(name: str = "eno1", **more: Any) -> LinkState:
    """A link that works."""
    told = {"index": 2, "kind": "ethernet", "mac": NIC.mac, "carrier": True, "up": True, "mtu": 1500}
    told["addresses"] = (ip_interface("192.0.2.10/24"),)
    return LinkState(name=name, **{**told, **more})


def bond(**ports: bool) -> LinkState:
    """A bond; which of its ports have a link."""
    state = BondState(ports=tuple(BondPort(name=name, link_up=up, active=up) for name, up in ports.items()))
    config = Bond(name="bond0", mode=BondMode.ACTIVE_BACKUP, ports=tuple(ports))
    return link("bond0", kind="bond", index=9, bond=state, config=config)


def default(**more: Any) -> Route:
    """The way out."""
    told = {"destination": ip_network("0.0.0.0/0"), "link": "eno1", "gateway": ip_address("192.0.2.1")}
    return Route(**{**told, **more})


def network(
    *links: LinkState, routes: tuple[Route, ...] = (default(),), nics: tuple[Nic, ...] = (NIC,)
) -> NetworkState:
    """As it is."""
    return NetworkState(nics=nics, links=links or (link(),), routes=routes)


def gateway(**more: Any) -> Gateway:
    """One that answers to everything."""
    told = {"link": "eno1", "address": ip_address("192.0.2.1"), "mtu": 1500, "answers": True}
    return Gateway(**{**told, "carries_small": True, "carries_whole": True, **more})


def ladder(broken: Step | None = None, fault: str = "it does not", behind_s: float = 0.0) -> Ladder:
    """To the controller, up to the rung that is broken."""
    rungs = []
    for step in Step:
        rungs.append(Rung(step=step, took_ms=3.0, found="well", fault=fault if step is broken else None))
        if step is broken:
            return Ladder(url=URL, rungs=tuple(rungs))
    return Ladder(url=URL, rungs=tuple(rungs), server_time=NOW + timedelta(seconds=behind_s), our_time=NOW)


def job(state: JobState = JobState.SUCCEEDED, **more: Any) -> Job:
    """A deployment."""
    return Job("r1", "image.deploy", "d", **{"state": state, "disks": (DISK,), "step": "write_image", **more})


def held(config: NetworkConfig | None = None, generation: int = 3) -> Held:
    """A network that was proven."""
    return Held(generation=generation, config=config or NetworkConfig(), boot_id=BOOT)


def pending(boot_id: str = BOOT) -> Pending:
    """A change that is neither proven nor taken back."""
    return Pending(deadline_s=1.0, boot_id=boot_id, snapshot=Snapshot(), failed=NetworkConfig(), held=held())


def ending(boot_id: str = BOOT, unit: str = "bms-agent.service") -> Ending:
    """A crash."""
    return Ending(unit, boot_id, "exited, status 1", NOW)


def disk(name: str = "sda", *contents: Content, wwn: str | None = None) -> Disk:
    """A disk with these contents."""
    return Disk(name=name, path=f"/dev/{name}", size_bytes=10**12, wwn=wwn, contents=contents)


def inventory(*disks: Disk) -> Inventory:
    """A machine with these disks."""
    return Inventory(
        system=System(vendor="Dell Inc.", product="PowerEdge", serial="ABC"),
        cpu=Cpu(architecture="x86_64", threads=2),
        memory=Memory(total_bytes=2**30),
        disks=disks,
        nics=(NIC,),
    )


def entry(number: int, partition: PartitionPath, *, is_active: bool = True) -> BootEntry:
    """A boot entry that leads to a partition."""
    path = path_to(partition, "\\EFI\\debian\\shimx64.efi")
    return BootEntry(
        number=number, option=LoadOption(attributes=int(is_active), label=f"os{number}", path=path), raw=b""
    )


def firmware(*entries: BootEntry) -> FirmwareBoot:
    """UEFI that tries these in this order."""
    return FirmwareBoot(architecture="x86_64", entries=entries, order=tuple(one.number for one in entries))


def booting(*disks: Bootable, uefi: FirmwareBoot | None = None, root: DiskIdentity | None = None) -> Booting:
    """What boots; BIOS where no UEFI is given."""
    return Booting(firmware=uefi, disks=disks, root=root)


STATE = "/var/lib/bms-agent"
ROOMY = Space(size_bytes=10**10, free_bytes=10**9, files=10**6, files_free=10**5)
UEFI_DISK = Bootable("/dev/sda", (ESP,), has_boot_code=False)
BIOS_DISK = Bootable("/dev/sda", (), has_boot_code=True)
WELL = Seen(
    now=NOW,
    boot_id=BOOT,
    is_root=True,
    place=Place(mode="service", node_id="n1", controllers=(InCharge(URL),)),
    inventory=inventory(disk("sda", Content(node="/dev/sda1", kind="ext4", uuid="u1"))),
    network=network(),
    jobs=(job(),),
    reports=0,
    desired=None,
    remembered=(held(), None),
    status=None,
    units=(Unit("bms-agent.service", "active", 0),),
    endings=(),
    spaces={STATE: ROOMY, "/run/bms-agent": ROOMY},
    gateways=(gateway(),),
    name_servers=(NameServer(ip_address("192.0.2.53"), answers=True),),
    ladders=(ladder(),),
    complaints=(),
    health={"sda": DiskHealth(passed=True)},
    memory_errors=(MemoryErrors(controller="mc0", correctable=0, uncorrectable=0),),
    disk_states={"sda": "running"},
    booting=booting(UEFI_DISK, uefi=firmware(entry(1, ESP)), root=DISK),
    neighbours=None,
)
"""Everything is known, and nothing is wrong."""
