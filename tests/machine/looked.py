# SPDX-License-Identifier: Apache-2.0
"""A guest with hardware of many kinds, in which our inventory and everybody's tools look at the same: UEFI, two nodes,
NVMe with two namespaces, SATA, SCSI and virtio disks, three NICs, of which one plays a switch, and a TPM if swtpm is
installed.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lab.firmware import Firmware
from tests.machine import looking
from tests.machine.guest import booted
from tests.machine.looking import SERVED

BOOT_S, LOOK_S = 900, 600
UNIT = Path(__file__).parents[2] / "systemd" / "bms-agent.service"
CMDLINE = "console=ttyS0 quiet bms.shell systemd.unit=bms-shell@ttyS0.service"
TOOLS = "/run/tools"
NOT_KEPT = (
    "#",
    "[Install]",
    "WantedBy=",
    "Type=",
    "ExecStart=",
    "Restart",
    "Watchdog",
    "Standard",
    "After=",
    "Before=",
)
SHAPE = [
    "-m", "2048", "-object", "memory-backend-ram,id=m0,size=1G", "-object", "memory-backend-ram,id=m1,size=1G",
    "-numa", "node,nodeid=0,cpus=0,memdev=m0", "-numa", "node,nodeid=1,memdev=m1",
    "-smbios", "type=0,vendor=ACME,version=7.1,date=02/03/2026",
    "-smbios", "type=1,manufacturer=Wile,product=Rocket,serial=R1,uuid=12345678-1234-5678-90ab-cddeefaabb11",
    "-smbios", "type=17,manufacturer=Wile,serial=D17,part=DDR-1,speed=3200",
    "-device", "pcie-root-port,id=port1,chassis=1", "-device", "e1000e,netdev=n1,mac=52:54:00:00:00:21,bus=port1",
    "-netdev", "hubport,id=n1,hubid=1", "-netdev", "hubport,id=n2,hubid=1",
    "-device", f"virtio-net-pci,netdev=n2,mac={looking.SPEAKER},romfile=,speed=10000,duplex=full",
    "-device", "nvme,id=nvme,serial=NV1",
    "-device", "nvme-ns,drive=d1,nsid=1,logical_block_size=4096,physical_block_size=4096",
    "-device", "nvme-ns,drive=d2,nsid=2",
    "-device", "ide-hd,drive=d3,bus=ide.0,serial=SATA1,model=ACME Disk,rotation_rate=7200",
    "-device", "virtio-scsi-pci",
    "-device", "scsi-hd,drive=d4,serial=SCSI1,wwn=0x5000c50012345678,vendor=ACME,product=Raptor",
]  # fmt: skip


@contextmanager
def tpm(folder: Path) -> Iterator[list[str]]:
    """QEMU's words for one, where there is a program that plays it."""
    program = shutil.which("swtpm")
    if program is None:
        yield []
        return
    (folder / "tpm").mkdir()
    socket = folder / "tpm" / "socket"
    argv = [program, "socket", "--tpm2", "--tpmstate", f"dir={folder}/tpm", "--ctrl", f"type=unixio,path={socket}"]
    with subprocess.Popen(argv) as process:
        (folder / "tpm" / "pid").write_text(str(process.pid))
        try:
            for _ in range(100):
                if socket.exists():
                    break
                time.sleep(0.1)
            yield [
                "-chardev", f"socket,id=tpm,path={socket}", "-tpmdev", "emulator,id=tpm,chardev=tpm",
                "-device", "tpm-crb,tpmdev=tpm",
            ]  # fmt: skip
        finally:
            process.terminate()


def drives(folder: Path, count: int = 4) -> list[str]:
    """Empty ones."""
    words = []
    for number in range(1, count + 1):
        disk = folder / f"d{number}"
        disk.touch()
        os.truncate(disk, number << 30)
        words += ["-drive", f"if=none,id=d{number},format=raw,file={disk},cache=unsafe"]
    return words


def restricted() -> str:
    """The inventory under the restrictions of the service, as a unit that ends."""
    return confined("bms-agent inventory --json", SERVED)


def confined(command: str, said: str) -> str:
    """A command under the restrictions of the service, as a unit that ends; where what it prints is written."""
    kept = (line for line in UNIT.read_text(encoding="utf-8").splitlines() if not line.startswith(NOT_KEPT))
    return "\n".join([*kept, "Type=oneshot", f"ExecStart={command}", f"StandardOutput=file:{said}"])


def looked(folder: Path, ramdisk: Path) -> dict[str, Any]:
    """What our inventory and the tools said, and how long each took."""
    built = subprocess.run(
        [str(Path(__file__).with_name("tools-guest"))], stdout=subprocess.PIPE, text=True, check=True
    )
    tools = Path(built.stdout.splitlines()[-1]) / "root.ext4"
    program = Path(looking.__file__).read_bytes()
    disk = folder / "disk"
    disk.write_bytes(program.ljust(1 << 20, b"\0"))
    kernel = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(ramdisk / "initrd"), "-append", CMDLINE]
    tooled = ["-drive", f"if=none,id=tools,format=raw,file={tools},readonly=on",
              "-device", "virtio-blk-pci,drive=tools,serial=TOOLS"]  # fmt: skip
    with ExitStack() as stack:
        module = stack.enter_context(tpm(folder))
        words = [*kernel, *drives(folder), *SHAPE, *module, *tooled]
        guest = stack.enter_context(booted(folder / "guest", disk, *words, firmware=Firmware.UEFI))
        guest.wait_for("# ", BOOT_S)
        guest.do("udevadm settle", BOOT_S)
        guest.do(f"mkdir {TOOLS}; mount -o ro /dev/disk/by-id/virtio-TOOLS {TOOLS}")
        guest.do(f"for at in proc sys dev run; do mount --rbind /$at {TOOLS}/$at; done")
        packed = base64.b64encode(zlib.compress(restricted().encode())).decode()
        unpack = "import base64, sys, zlib; sys.stdout.buffer.write(zlib.decompress(base64.b64decode(sys.argv[1])))"
        guest.do(f"python3 -c '{unpack}' {packed} >/run/systemd/system/looking.service")
        guest.do(f"head -c {len(program)} /dev/disk/by-id/virtio-S1 >/run/looking.py")
        said = guest.do(f"PYTHONPATH=/usr/lib/bms-agent python3 -P /run/looking.py {TOOLS}", LOOK_S)
    return looking.unpacked(said)
