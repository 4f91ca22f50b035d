# SPDX-License-Identifier: Apache-2.0
"""Every rule: what makes it fire, and how gravely; and that it is silent for a machine that is well, or not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from agent.diagnose import rules
from agent.diagnose.rules import RULES, Rule, agent, boot, controller, disk, judged, memory, network
from agent.diagnose.seen import Bootable, Complaint, NameServer, Place, Seen, Unit
from agent.model.disk import Content
from agent.model.fact import Unknown
from agent.model.fault import Fault
from agent.model.finding import Severity
from agent.model.hardware.disk import DiskHealth
from agent.model.hardware.sensor import MemoryErrors
from agent.model.job import NO_ANSWER, JobState, Progress
from agent.model.ladder import Step
from agent.model.lldp import LldpNeighbour
from agent.model.network import NetworkConfig, Nic, Vlan
from agent.model.protocol import Desired
from agent.model.raid import RunningArray
from agent.model.space import Space
from agent.model.status import OPEN, Status
from tests.diagnose import seeing
from tests.diagnose.seeing import BIOS_DISK, DISK, EARLIER, ESP, NIC, NOW, OTHER_ESP, STATE, UEFI_DISK, WELL

ERROR, WARNING, NOTICE = Severity
DEAD = (Unit("bms-agent.service", "failed", 5),)
FAULT = Fault(code="IMAGE.DIGEST_MISMATCH", message="writing /dev/sda: not it", details="bits", hint="Register it.")
EXT4 = Content(node="/dev/sda1", kind="ext4", uuid="u1")
COPY = Content(node="/dev/sdb1", kind="ext4", uuid="u1")
UNPLUGGED = Nic(name="eno1", mac=NIC.mac, current_mac=NIC.mac, carrier=False)
VLAN = seeing.link("vlan7", kind="vlan", index=5, config=Vlan(name="vlan7", parent="bond0", vlan_id=7))
ON_BOND = seeing.network(seeing.link(addresses=()), seeing.bond(eno1=True), VLAN)
HEARD = LldpNeighbour(system_name="tor-7", port_id="Ethernet1", vlans={5: "five", 6: "six"}, port_vlan_id=1)
LOST = Fault(code="LINK.UNREACHABLE", message="calling POST /v1/heartbeat: ConnectTimeout")
HEARD_BY_IRONIC = Status(conductor="ironic", controller="u", doing=OPEN[1], boot_id="b", at=NOW)
TOLD = Status(conductor="embedded", controller="u", doing="enrolling", faults=(FAULT,), boot_id="b", at=NOW)
WAITS = Status(
    conductor="embedded",
    controller="u",
    doing=OPEN[0],
    progress=Progress(request_id="r1", step="write_image", done_bytes=7, limited_by=f"the disk, {NO_ANSWER} 40 s"),
    boot_id="b",
    at=NOW,
)
WANTED = Desired(generation=4, node_id="n1", network=NetworkConfig(links=()))
OTHER = NetworkConfig(allow_disconnect=True)
ARRAY = RunningArray(
    name="md0", path="/dev/md0", size_bytes=1, level="raid1", members=("sda1",), faults=("1 of 2 is missing",)
)
ONE_ERROR = (Complaint("sdb", 12, "critical medium error, dev sdb, sector 5"),)
FULL = Space(size_bytes=10**10, free_bytes=4096, files=10**6, files_free=10**5)
NO_BYTES = Space(size_bytes=10**10, free_bytes=0, files=10**6, files_free=10**5)
NO_FILES = Space(size_bytes=10**10, free_bytes=10**9, files=10**6, files_free=0)
READ_ONLY = Space(size_bytes=10**10, free_bytes=10**9, files=10**6, files_free=10**5, is_read_only=True)
SILENT = NameServer(ip_address("192.0.2.54"), answers=False)

# (rule, what is spoilt, code, severity)
FIRES: list[tuple[Rule, dict[str, Any], str, Severity]] = [
    (agent.not_asked, {"is_root": False}, "DIAGNOSE.NOT_ROOT", NOTICE),
    (agent.configuration, {"place": Place(fault=FAULT)}, "IMAGE.DIGEST_MISMATCH", ERROR),
    (agent.not_running, {"units": DEAD}, "AGENT.NOT_RUNNING", ERROR),
    (agent.crashed, {"endings": (seeing.ending(),)}, "AGENT.CRASHED", WARNING),
    (agent.crashed, {"endings": (seeing.ending(),) * 3}, "AGENT.CRASHED", ERROR),
    (agent.crashed, {"endings": (seeing.ending(EARLIER),)}, "AGENT.CRASHED_BEFORE", WARNING),
    (agent.crashed, {"endings": (seeing.ending(unit="bms-agent-ramdisk.service"),)}, "AGENT.CRASHED", WARNING),
    (agent.crashed, {"endings": (seeing.ending(unit="bms-agent-link.service"),) * 3}, "LINK.CRASHED", ERROR),
    (agent.crashed, {"endings": (seeing.ending(EARLIER, "bms-agent-link.service"),)}, "LINK.CRASHED_BEFORE", WARNING),
    (agent.crashed, {"endings": (seeing.ending(unit="bms-agent-api.service"),)}, "API.CRASHED", WARNING),
    (agent.crashed, {"endings": (seeing.ending(unit="bms-agent-controller.service"),)}, "CONTROLLER.CRASHED", WARNING),
    (agent.crashed, {"endings": (seeing.ending(unit="bms-agent-importer.service"),)}, "CONTROLLER.CRASHED", WARNING),
    (agent.memory_damaged, {"jobs": Unknown(unknown="damaged at byte 7")}, "AGENT.MEMORY_DAMAGED", ERROR),
    (agent.cannot_write, {"spaces": {STATE: NO_BYTES}}, "AGENT.STATE_FULL", ERROR),
    (agent.cannot_write, {"spaces": {STATE: NO_FILES}}, "AGENT.STATE_FULL", ERROR),
    (agent.cannot_write, {"spaces": {STATE: READ_ONLY}}, "AGENT.STATE_READ_ONLY", ERROR),
    (agent.cannot_write, {"spaces": {STATE: FULL}, "place": Place()}, "AGENT.STATE_FULL", ERROR),
    (agent.job_failed, {"jobs": (seeing.job(JobState.FAILED, fault=FAULT),)}, "JOB.FAILED", ERROR),
    (agent.job_unfinished, {"jobs": (seeing.job(JobState.RUNNING),), "units": DEAD}, "JOB.UNFINISHED", ERROR),
    (agent.job_unfinished, {"jobs": (seeing.job(JobState.RUNNING),)}, "JOB.UNDER_WAY", NOTICE),
    (agent.disk_silent, {"status": WAITS}, "DISK.NO_ANSWER", WARNING),
    (agent.own_words, {"status": TOLD}, "IMAGE.DIGEST_MISMATCH", ERROR),
    (agent.reports_waiting, {"reports": 3}, "JOB.REPORTS_WAITING", WARNING),
    (network.no_nic, {"network": seeing.network(seeing.link(addresses=()), nics=())}, "NETWORK.NO_NIC", ERROR),
    (network.no_carrier, {"network": seeing.network(nics=(UNPLUGGED,))}, "NETWORK.NO_CARRIER", ERROR),
    (network.no_address, {"network": seeing.network(seeing.link(addresses=()))}, "NETWORK.NO_ADDRESS", ERROR),
    (
        network.no_default_route,
        {"network": seeing.network(routes=()), "ladders": (seeing.ladder(Step.ROUTE),)},
        "NETWORK.NO_DEFAULT_ROUTE",
        ERROR,
    ),
    (
        network.no_default_route,
        {"network": seeing.network(routes=()), "ladders": ()},
        "NETWORK.NO_DEFAULT_ROUTE",
        WARNING,
    ),
    (network.no_default_route, {"network": seeing.network(routes=())}, "NETWORK.NO_DEFAULT_ROUTE", NOTICE),
    (network.gateway_silent, {"gateways": (seeing.gateway(answers=False),)}, "NETWORK.GATEWAY_SILENT", ERROR),
    (
        network.gateway_silent,
        {"gateways": (seeing.gateway(answers=False), seeing.gateway(link="eno2"))},
        "NETWORK.GATEWAY_SILENT",
        WARNING,
    ),
    (network.mtu_black_hole, {"gateways": (seeing.gateway(carries_whole=False),)}, "NETWORK.MTU_BLACK_HOLE", ERROR),
    (
        network.name_servers_silent,
        {"name_servers": (SILENT,), "ladders": (seeing.ladder(Step.DNS),)},
        "NETWORK.DNS_SILENT",
        ERROR,
    ),
    (network.name_servers_silent, {"name_servers": (SILENT,)}, "NETWORK.DNS_SILENT", WARNING),
    (
        network.links,
        {"network": seeing.network(seeing.bond(eno1=True, eno2=False))},
        "NETWORK.BOND_LEG_LOST",
        WARNING,
    ),
    (
        network.links,
        {"network": seeing.network(seeing.bond(eno1=True).model_copy(update={"carrier": False}))},
        "NETWORK.LINK_DOWN",
        WARNING,
    ),
    (
        network.links,
        {"network": seeing.network(seeing.bond(a=True).model_copy(update={"duplicates": (ip_interface("::1/64"),)}))},
        "NETWORK.ADDRESS_DUPLICATE",
        ERROR,
    ),
    (
        network.vlan_not_announced,
        {"network": ON_BOND, "neighbours": {"eno1": HEARD}},
        "NETWORK.VLAN_NOT_ANNOUNCED",
        WARNING,
    ),
    (network.change_pending, {"remembered": (None, seeing.pending())}, "NETWORK.CHANGE_PENDING", WARNING),
    (network.change_pending, {"remembered": (None, seeing.pending(EARLIER))}, "NETWORK.CHANGE_PENDING", ERROR),
    (network.not_applied, {"desired": WANTED, "remembered": (seeing.held(OTHER), None)}, "NETWORK.NOT_APPLIED", ERROR),
    (controller.not_named, {"place": Place(mode="ramdisk")}, "CONTROLLER.NOT_NAMED", ERROR),
    (controller.not_named, {"place": Place(mode="ramdisk", asks_around=True)}, "CONTROLLER.NOT_FOUND", ERROR),
    (controller.not_reached, {"ladders": (seeing.ladder(Step.DNS),)}, "CONTROLLER.NO_NAME", ERROR),
    (controller.not_reached, {"ladders": (seeing.ladder(Step.ROUTE),)}, "CONTROLLER.NO_ROUTE", ERROR),
    (controller.not_reached, {"ladders": (seeing.ladder(Step.TCP),)}, "CONTROLLER.NO_CONNECTION", ERROR),
    (controller.not_reached, {"ladders": (seeing.ladder(Step.TLS),)}, "CONTROLLER.TLS_REFUSED", ERROR),
    (controller.not_reached, {"ladders": (seeing.ladder(Step.HTTP),)}, "CONTROLLER.NO_HTTP", ERROR),
    (
        controller.not_reached,
        {"ladders": (seeing.ladder(Step.TLS),), "status": HEARD_BY_IRONIC},
        "CONTROLLER.TLS_REFUSED",
        WARNING,
    ),
    (
        controller.not_reached,
        {"ladders": (seeing.ladder(Step.TLS),), "status": HEARD_BY_IRONIC.model_copy(update={"faults": (LOST,)})},
        "CONTROLLER.TLS_REFUSED",
        ERROR,
    ),
    (
        controller.not_reached,
        {"ladders": (seeing.ladder(), seeing.ladder(Step.TCP))},
        "CONTROLLER.NO_CONNECTION",
        WARNING,
    ),
    (controller.reached, {}, "CONTROLLER.REACHED", NOTICE),
    (controller.clock_off, {"ladders": (seeing.ladder(behind_s=60),)}, "CLOCK.OFF", WARNING),
    (controller.clock_off, {"ladders": (seeing.ladder(behind_s=-3600),)}, "CLOCK.OFF", ERROR),
    (controller.clock_unset, {"now": datetime(2020, 1, 1, tzinfo=UTC)}, "CLOCK.UNSET", ERROR),
    (disk.failing, {"complaints": ONE_ERROR}, "DISK.FAILING", ERROR),
    (disk.unwell, {"health": {"sda": DiskHealth(passed=False)}}, "DISK.UNWELL", ERROR),
    (disk.unwell, {"health": {"sda": DiskHealth(passed=True, warnings=("worn out",))}}, "DISK.UNWELL", WARNING),
    (
        memory.errors,
        {"memory_errors": (MemoryErrors(controller="mc0", correctable=3, uncorrectable=0),)},
        "MEMORY.ERRORS",
        WARNING,
    ),
    (
        memory.errors,
        {"memory_errors": (MemoryErrors(controller="mc0", correctable=0, uncorrectable=1),)},
        "MEMORY.ERRORS",
        ERROR,
    ),
    (disk.offline, {"disk_states": {"sda": "running", "sdb": "offline"}}, "DISK.OFFLINE", ERROR),
    (disk.no_disks, {"inventory": seeing.inventory(), "place": Place(mode="ramdisk")}, "DISK.NONE", ERROR),
    (
        disk.same_name_twice,
        {"inventory": seeing.inventory(seeing.disk("sda", EXT4), seeing.disk("sdb", COPY))},
        "DISK.DUPLICATE_FILESYSTEM",
        ERROR,
    ),
    (
        disk.same_name_twice,
        {
            "inventory": seeing.inventory(
                seeing.disk("sda", Content(node="/dev/sda", kind="gpt", uuid="t")),
                seeing.disk("sdb", Content(node="/dev/sdb", kind="gpt", uuid="t")),
            )
        },
        "DISK.DUPLICATE_PARTITION_TABLE",
        WARNING,
    ),
    (
        disk.array_degraded,
        {"inventory": WELL.inventory.model_copy(update={"arrays": (ARRAY,)})},
        "RAID.NOT_WHOLE",
        WARNING,
    ),
    (boot.wrong_mode, {"booting": seeing.booting(UEFI_DISK)}, "BOOT.WRONG_MODE", ERROR),
    (boot.wrong_mode, {"booting": seeing.booting(BIOS_DISK, uefi=seeing.firmware())}, "BOOT.WRONG_MODE", ERROR),
    (
        boot.wrong_order,
        {
            "booting": seeing.booting(
                UEFI_DISK,
                Bootable("/dev/sdb", (OTHER_ESP,), has_boot_code=False),
                uefi=seeing.firmware(seeing.entry(2, OTHER_ESP), seeing.entry(1, ESP)),
                root=DISK,
            )
        },
        "BOOT.WRONG_ORDER",
        WARNING,
    ),
    (
        boot.stale_entries,
        {"booting": seeing.booting(UEFI_DISK, uefi=seeing.firmware(seeing.entry(1, ESP), seeing.entry(2, OTHER_ESP)))},
        "BOOT.STALE_ENTRIES",
        NOTICE,
    ),
]
# (rule, what is changed without being wrong)
SILENT_FOR: list[tuple[Rule, dict[str, Any]]] = [
    (agent.not_running, {"units": ()}),
    (agent.job_unfinished, {"jobs": (seeing.job(JobState.RUNNING),), "units": Unknown(unknown="no systemd")}),
    (agent.own_words, {"status": TOLD, "units": DEAD}),
    (agent.cannot_write, {"spaces": {STATE: FULL}, "place": Place(), "units": ()}),  # no agent is at home here
    (agent.cannot_write, {"spaces": {STATE: Space(0, 0, 0, 0)}}),  # a filesystem that knows no end
    (controller.not_named, {"place": Place(mode="ramdisk"), "status": HEARD_BY_IRONIC}),
    (agent.job_failed, {"jobs": (seeing.job(JobState.FAILED, fault=FAULT), seeing.job())}),
    (network.no_nic, {"network": seeing.network(nics=())}),  # a container
    (network.no_address, {"network": seeing.network(seeing.link(addresses=()), nics=(UNPLUGGED,))}),
    (network.no_address, {"network": seeing.network(seeing.link(addresses=(), leases=(ip_interface("10.0.0.2/8"),)))}),
    (network.gateway_silent, {"gateways": (seeing.gateway(answers=False),), "is_root": False}),
    (network.mtu_black_hole, {"gateways": (seeing.gateway(carries_whole=False, carries_small=False),)}),
    (network.links, {"network": seeing.network(seeing.link(), seeing.link("eno2", carrier=False, mac="02::2"))}),
    (network.vlan_not_announced, {"network": ON_BOND, "neighbours": {"eno1": LldpNeighbour(system_name="quiet")}}),
    (
        network.vlan_not_announced,
        {"network": ON_BOND, "neighbours": {"eno1": HEARD.model_copy(update={"vlans": {7: ""}})}},
    ),
    (network.not_applied, {"desired": WANTED, "remembered": (seeing.held(NetworkConfig(links=())), None)}),
    (network.not_applied, {"desired": WANTED.model_copy(update={"network": None})}),
    (controller.clock_off, {"ladders": (seeing.ladder(behind_s=20),)}),
    (disk.offline, {"disk_states": {"nvme0n1": "live", "sda": "running"}}),
    (disk.no_disks, {"inventory": seeing.inventory()}),
    (
        disk.same_name_twice,  # two ways to one disk
        {"inventory": seeing.inventory(seeing.disk("sda", EXT4, wwn="0x5"), seeing.disk("sdb", COPY, wwn="0x5"))},
    ),
    (
        disk.same_name_twice,  # two members of one array
        {
            "inventory": seeing.inventory(
                seeing.disk("sda", EXT4.model_copy(update={"kind": "linux_raid_member"})),
                seeing.disk("sdb", COPY.model_copy(update={"kind": "linux_raid_member"})),
            )
        },
    ),
    (boot.wrong_mode, {"booting": seeing.booting(UEFI_DISK, Bootable("/dev/sdb", (), has_boot_code=True))}),
    (boot.wrong_mode, {"booting": seeing.booting(Bootable("/dev/sda", (), has_boot_code=False))}),
    (
        boot.wrong_order,  # an entry that is not tried
        {
            "booting": seeing.booting(
                UEFI_DISK,
                Bootable("/dev/sdb", (OTHER_ESP,), has_boot_code=False),
                uefi=seeing.firmware(seeing.entry(2, OTHER_ESP, is_active=False), seeing.entry(1, ESP)),
                root=DISK,
            )
        },
    ),
]


@pytest.mark.parametrize(
    ("rule", "spoilt", "code", "severity"), FIRES, ids=[f"{rule.__name__}-{code}-{s}" for rule, _, code, s in FIRES]
)
def test_a_rule_fires(rule: Rule, spoilt: dict[str, Any], code: str, severity: Severity) -> None:
    """One fact spoilt gives one finding, with evidence and advice, and as grave as it is."""
    finding = seeing.only(rule, replace(WELL, **spoilt))

    assert (finding.code, finding.severity) == (code, severity)
    assert finding.what and finding.why and finding.to_do.endswith((".", ")", "50"))


@pytest.mark.parametrize(("rule", "changed"), SILENT_FOR, ids=[rule.__name__ for rule, _ in SILENT_FOR])
def test_a_rule_is_silent(rule: Rule, changed: dict[str, Any]) -> None:
    """What looks like it, and is not."""
    assert seeing.fired(rule, replace(WELL, **changed)) == []


def test_nothing_is_wrong_with_a_machine_that_is_well() -> None:
    """No rule but the one that says that the controller answers."""
    assert [finding.code for finding in judged(WELL)] == ["CONTROLLER.REACHED"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_unknown_is_neither_good_nor_bad(rule: Rule) -> None:
    """A machine of which nothing is known has no findings."""
    assert seeing.fired(rule, Seen()) == []


def test_every_rule_is_shown_to_fire() -> None:
    """None stands in the table that nothing makes speak."""
    assert {rule for rule, *_ in FIRES} == set(RULES)
    assert len(RULES) == len(set(RULES)) and rules.RULES is RULES


def test_the_worst_comes_first() -> None:
    """Errors, warnings, notices; within each from the agent outwards."""
    found = judged(replace(WELL, is_root=False, units=DEAD, reports=1, complaints=ONE_ERROR))

    assert [finding.code for finding in found] == [
        "AGENT.NOT_RUNNING",
        "DISK.FAILING",
        "JOB.REPORTS_WAITING",
        "DIAGNOSE.NOT_ROOT",
        "CONTROLLER.REACHED",
    ]


def test_what_a_failed_job_says() -> None:
    """Its own code, evidence and advice are what an operator needs."""
    finding = seeing.only(agent.job_failed, replace(WELL, jobs=(seeing.job(JobState.FAILED, fault=FAULT),)))

    assert finding.what == "the last job, image.deploy, failed in step write_image: IMAGE.DIGEST_MISMATCH"
    assert (finding.why, finding.to_do) == ("writing /dev/sda: not it; bits", "Register it.")


def test_the_rung_that_breaks_is_shown_with_its_time() -> None:
    """Every rung below it, too."""
    finding = seeing.only(controller.not_reached, replace(WELL, ladders=(seeing.ladder(Step.TCP, "refused"),)))

    assert finding.why == "DNS well (3 ms) → route well (3 ms) → TCP refused (3 ms)"
