# SPDX-License-Identifier: Apache-2.0
"""A server's disk becomes an image, in the ramdisk; what is made of the image is another server, with its own identity.

Real firmware, kernel, ramdisk, Debian and cloud-init. The two deploys are done by this machine, onto loop devices:
that a ramdisk deploys is for `test_demo` to show.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from agent.model.config_drive import ConfigDrive
from agent.model.disk import Disk
from agent.model.image import ImageFormat, ImageRef
from agent.operations import Operations
from agent.plan.image import plan_deploy
from lab.firmware import Firmware
from tests.apply import real
from tests.hardware import deploy, machine
from tests.hostile import serving
from tests.loops import command, loop
from tests.machine.guest import HOST, Guest, booted

pytestmark = [pytest.mark.machine, pytest.mark.root]

GIB = 1 << 30
# The machine is emulated, and other work may share the computer.
BOOT_S, CAPTURE_S = 1500, 1800
UNIT, RUNTIME = "/usr/lib/systemd/system/bms-agent-ramdisk.service", "/run/systemd/system/capture.service"
TOLD = {
    "machine": "cat /etc/machine-id",
    "hostname": "hostname",
    "instance": "cat /var/lib/cloud/data/instance-id",
    "hostkey": "cut -d ' ' -f 2 /etc/ssh/ssh_host_ed25519_key.pub",
    "private": "sed -n 3p /etc/ssh/ssh_host_ed25519_key",
    "history": "cat /root/.bash_history /home/debian/.bash_history | tr '\\n' ' '",
    "agent": "cat /var/lib/bms-agent/credential",
    "leases": "cat /var/lib/dhcp/leases",
    "journals": "ls /var/log/journal",
    "mark": "cat /srv/mark",
    "loader": "ls /boot/efi/EFI/BOOT/BOOTX64.EFI",
    "growth": "findmnt -bno SIZE /",
}
OWN = ("machine", "hostname", "instance", "hostkey", "private")
SECRETS = (
    "typed-by-root",
    "typed-by-debian",
    "credential-of-web-1",
    "lease-of-web-1",
    "told-by-user-data",
    "torn-up-letter",
)
LIFE = [
    "echo stays > /srv/mark",
    "echo typed-by-root > /root/.bash_history; echo typed-by-debian > /home/debian/.bash_history",
    "mkdir -p /var/lib/dhcp; echo lease-of-web-1 > /var/lib/dhcp/leases",
    "mkdir -p /var/lib/bms-agent; echo credential-of-web-1 > /var/lib/bms-agent/credential",
    "echo web-1 was here > /var/log/of-web-1.log",
    "yes torn-up-letter | head -c 100000 > /srv/letter; sync; rm /srv/letter",
]


def user_data(life: list[str]) -> str:
    """At the first boot the server does that, says who it is, and switches itself off."""
    report = [f'echo "told {name}: $({question} 2>/dev/null)" >/dev/ttyS0' for name, question in TOLD.items()]
    told = {
        "runcmd": [*life, *report, "echo told-by-user-data >/dev/null"],
        "power_state": {"mode": "poweroff", "timeout": 30},
    }
    return "#cloud-config\n" + json.dumps(told)


def drive(name: str, life: list[str]) -> ConfigDrive:
    """What tells a server who it is."""
    identity = {"uuid": f"instance-of-{name}", "hostname": name, "name": name}
    latest = "openstack/latest"
    return ConfigDrive.holding(
        {f"{latest}/meta_data.json": json.dumps(identity), f"{latest}/user_data": user_data(life)}
    )


def deployed(folder: Path, image: ImageRef, size_bytes: int, config: ConfigDrive) -> Path:
    """A disk with the image and its config drive, as the planner wants it."""
    folder.mkdir()
    with loop(folder, size_bytes) as node:
        disk = Disk(name=Path(node).name, path=node, size_bytes=size_bytes, serial="S1")
        plan = plan_deploy(machine(disk), deploy(serial="S1", image=image, drive=config), str(folder / "spool"))
        doer = Operations(real.host(), None, str(folder / "spool"))
        for step in plan.steps:
            doer.do(step, lambda *_: None)
        command("cp", "--sparse=always", str(folder / "disk"), str(folder / "server.raw"))
    return folder / "server.raw"


def captured_in(guest: Guest, to: str) -> dict[str, str | int]:
    """The operator's command, in the ramdisk's shell, but as shut in as the agent is; what it says of the image."""
    order = f"bms-agent image capture --serial S1 --to {to} --level 1 --json"
    lines = f"s|^ExecStart=.*|ExecStart=/usr/bin/{order}|; s/^Type=.*/Type=oneshot/; /^(Restart|Timeout|Watchdog)/d"
    guest.do("systemctl stop bms-agent-ramdisk")
    guest.do(f"sed -E '{lines}; s|^StandardOutput=.*|StandardOutput=file:/run/result|' {UNIT} >{RUNTIME}")
    guest.do("systemctl start capture", CAPTURE_S)
    result: dict[str, str | int] = json.loads(guest.do("cat /run/result"))
    assert "bms-capture" not in guest.do("dmsetup ls; losetup --all; cat /proc/mounts; ls /var/lib/bms-agent")
    return result


def answers(console: str) -> dict[str, str]:
    """What a server told of itself."""
    return dict(re.findall(r"^told (\w+): (.*)$", console, re.MULTILINE))


def raw_of(image: bytes) -> Iterator[bytes]:
    """The disk in the image, by an ordinary zstd; each piece with the end of the one before."""
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(image), read_across_frames=True)
    end = b""
    while piece := reader.read(1 << 20):
        yield end + piece
        end = piece[-256:]


def found_in(image: bytes, words: list[bytes]) -> set[bytes]:
    """Which of these are anywhere on the disk in the image."""
    return {word for piece in raw_of(image) for word in words if word in piece}


def sha256(path: Path) -> str:
    """Of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_a_captured_server(ramdisk: Path, image: Path, tmp_path: Path) -> None:
    """A server lived, is captured by hand in the ramdisk to a URL, and its disk stays as it was; nothing of it that is
    its own is in the image; another machine with a larger disk and other firmware boots it as a server of its own."""
    described = json.loads((image.parent / "image.json").read_text())
    digest = described["sha256"][image.name]
    first = ImageRef(url=f"file://{image}", format=ImageFormat.CHUNKED, sha256=digest)
    disk = deployed(tmp_path / "first", first, 3 * GIB, drive("web-1", LIFE))
    with booted(tmp_path / "lives", disk) as guest:
        old = answers(guest.wait_for_end(BOOT_S))
    before = sha256(disk)

    kernel = ("-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"))
    with serving(b"") as server:
        to = f"http://{HOST}:{server.server_address[1]}/web.bmi"
        with booted(tmp_path / "ramdisk", disk, *kernel, "-append", "console=ttyS0 bms.shell quiet") as guest:
            guest.wait_for("# ", BOOT_S)
            result = captured_in(guest, to)
        server.body = captured = server.taken
        assert sha256(disk) == before, "the server's own disk was written to"
        assert result["warnings"] == "none" and result["file_bytes"] == len(captured)
        words = [word.encode() for word in (*SECRETS, *(old[name] for name in OWN))]
        assert found_in(captured, [*words, bytes.fromhex(old["machine"]), b"stays\n"]) == {b"stays\n"}

        second = ImageRef(url=server.url, format=ImageFormat.CHUNKED, sha256=str(result["sha256"]))
        disk = deployed(tmp_path / "second", second, 4 * GIB, drive("web-2", []))
    with booted(tmp_path / "again", disk, firmware=Firmware.UEFI) as guest:
        new = answers(guest.wait_for_end(BOOT_S))

    assert old.keys() == new.keys() == TOLD.keys()
    for name in OWN:
        assert new[name] and new[name] != old[name]
    assert old["loader"] == new["loader"] != "", "its EFI system partition is not mounted"
    assert (new["hostname"], new["instance"], new["mark"]) == ("web-2", "instance-of-web-2", "stays")
    assert [new[name] for name in ("history", "agent", "leases")] == ["", "", ""]
    assert old["machine"] not in new["journals"] and int(new["growth"]) > int(old["growth"]) + GIB // 2
