# SPDX-License-Identifier: Apache-2.0
"""What an operator does by hand in the real ramdisk, to the end: hardware is tested, and the machine goes into a file,
from which every command sees the machine again.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.cli import app
from agent.host.fake.recorded import unpacked
from agent.model.fact import known
from agent.model.hardware import Hardware
from agent.model.validation import Validated
from agent.model.validation.catalogue import CATALOGUE
from tests.cli.test_share import WHERE
from tests.loops import command
from tests.machine.guest import booted
from tests.machine.looked import BOOT_S, CMDLINE, drives
from tests.machine.recorded import CAPTURED, PRINT

pytestmark = [pytest.mark.machine, pytest.mark.root]

TEST_S, LOOK_S = 1500, 600
FOUND = 8
"""The status of `diagnose` for a machine with something wrong."""
SERIALS, MAC = ("S1", "NVME0001", "SCSI0001"), "52:54:00:12:34:56"
TABULATOR = (
    "COMP_WORDS=(bms-agent diagnose cap); COMP_CWORD=2; _bms_agent_completion bms-agent cap diagnose; "
    'echo "${COMPREPLY[@]}"'
)
NETWORK = (
    "cd /sys/class/net; for each in e*; do ip link set $each up; ip address add 10.0.2.15/24 dev $each; done; cd /; "
    "ip route add default via 10.0.2.2"
)
SHAPE = [
    "-device", "nvme,drive=d1,serial=NVME0001",
    "-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d2,serial=SCSI0001,wwn=0x5000c50012345678",
]  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What was said in the guest. `before` and `after`: sums of all its disks, as it reads them itself."""

    validated: Validated
    status: int
    archive: Path
    inventory: Hardware
    before: str
    after: str
    completion: str
    completed: str


@pytest.fixture(scope="module")
def told(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """All of it, in one boot."""
    folder = tmp_path_factory.mktemp("by-hand")
    disk = folder / "disk"
    disk.write_bytes(b"kept" * (1 << 20))
    kernel = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", CMDLINE]
    with booted(folder / "guest", disk, *kernel, *drives(folder, 2), *SHAPE) as guest:
        guest.wait_for("# ", BOOT_S)
        guest.do("udevadm settle", BOOT_S)
        guest.do(NETWORK)
        before = guest.do("sha256sum /dev/disk/by-id/virtio-S1", LOOK_S)
        guest.do("bms-agent validate --json >/run/validated; echo $? >/run/status", TEST_S)
        validated, status = printed(guest.do(f"{PRINT} </run/validated")), guest.do("cat /run/status")
        guest.do(f"bms-agent diagnose capture --to {CAPTURED}", LOOK_S)
        archive = folder / "captured.tar.zst"
        archive.write_bytes(printed(guest.do(f"{PRINT} <{CAPTURED}")))
        inventory = printed(guest.do(f"bms-agent inventory --json 2>/dev/null | {PRINT}", LOOK_S))
        after = guest.do("sha256sum /dev/disk/by-id/virtio-S1", LOOK_S)
        completion, completed = guest.do("complete -p bms-agent"), guest.do(TABULATOR, LOOK_S)
    return Told(
        Validated.model_validate_json(validated),
        int(status.split()[-1]),
        archive,
        Hardware.model_validate_json(inventory),
        before,
        after,
        completion,
        completed,
    )


def printed(said: str) -> bytes:
    """What a command printed, as it was."""
    return zlib.decompress(base64.b64decode(said.strip().splitlines()[-1]))


def ours(told: Told, *words: str) -> str:
    """What the operator's command says here, of the machine in the file."""
    done = CliRunner().invoke(app, ["--machine", str(told.archive), *words])
    assert done.exit_code in (0, FOUND), done.output
    return done.stdout


def test_every_quick_test_has_a_verdict(told: Told) -> None:
    """Nothing of a machine that is in order has failed, each disk was read, and holds what it held."""
    quick = {one.name for one in CATALOGUE if "quick" in one.profiles and not one.destroys}
    verdicts = told.validated.verdicts

    assert {one.test for one in verdicts} == quick
    assert [one for one in verdicts if one.state == "failed"] == []
    for test in ("cpu.answers", "cpu.load", "memory.patterns", "memory.bandwidth", "disk.read"):
        assert [one.figures for one in verdicts if one.test == test and one.state in ("passed", "degraded")], test
    read = [one.subject for one in verdicts if one.test == "disk.read"]
    assert [sum(serial in subject for subject in read) for serial in SERIALS] == [1, 1, 1]
    assert told.status == {"passed": 0, "degraded": 9, "incomplete": 9}[told.validated.state]
    assert told.before == told.after and told.before.split()[0] != ""


def test_the_machine_in_the_file(told: Told) -> None:
    """Has the hardware that the guest itself saw, but under other serials and MACs."""
    again = Hardware.model_validate_json(ours(told, "inventory", "--json"))

    assert (again.cpu, again.memory) == (told.inventory.cpu, told.inventory.memory)
    assert shapes(again.disks) == shapes(told.inventory.disks) and len(shapes(again.disks)) == len(SERIALS)
    assert isinstance(again.nics, tuple) and isinstance(told.inventory.nics, tuple)
    assert [(one.driver, one.pci_address) for one in again.nics] == [
        (one.driver, one.pci_address) for one in told.inventory.nics
    ]
    assert told.inventory.nics[0].mac == MAC and again.nics[0].mac not in (None, MAC)
    content = b"\n".join(unpacked(str(told.archive)).values())
    assert not [word for word in (*SERIALS[1:], MAC) if word.encode() in content]


def shapes(disks: object) -> list[tuple[object, ...]]:
    """What is no name of a disk."""
    assert isinstance(disks, tuple)
    return sorted((one.name, one.size_bytes, one.model, one.transport, one.logical_sector_bytes) for one in disks)


def test_every_command_works_on_it(told: Told) -> None:
    """What reads, and what plans; a plan names the disk by the serial that it has in the file."""
    disks = Hardware.model_validate_json(ours(told, "inventory", "--json")).disks
    assert isinstance(disks, tuple)
    serial = known(next(one for one in disks if one.name == "vda").serial)
    write = ("image", "write", "http://images/debian.raw", "--format", "raw", "--sha256", "ab" * 32)

    assert json.loads(ours(told, "diagnose", "--json"))["findings"] is not None
    assert "cpu.load" in ours(told, "validate", "--plan")
    assert serial is not None and serial in ours(told, *write, "--serial", serial, "--plan")
    assert serial in ours(told, "disk", "erase", serial, "--plan")


def test_the_shell_completes(told: Told) -> None:
    """In the ramdisk, at the console: the tabulator finds what the command has."""
    assert "-F _bms_agent_completion bms-agent" in told.completion
    assert told.completed.split() == ["capture"]


def test_the_image_has_the_manual(image: Path) -> None:
    """And the completions of every shell, where a Debian looks for them."""
    root = f"{image.with_name('debian.raw')}?offset={root_offset(image.with_name('debian.raw'))}"
    for path in WHERE:
        looked = command("debugfs", "-R", f"stat /usr/{path}", root)
        assert "Type: regular" in looked, (path, looked)


def root_offset(disk: Path) -> int:
    """Where the root filesystem begins."""
    table = json.loads(command("sfdisk", "--json", str(disk)))["partitiontable"]
    return int(next(one["start"] for one in table["partitions"] if one.get("name") == "root")) * 512
