# SPDX-License-Identifier: Apache-2.0
"""One virtual bare-metal machine: its hardware as data, QEMU's command line from it, and its power button.

A machine lives in a folder (disks, firmware variables, console log, QMP socket, pid file) and holds nothing in memory:
the BMC, the demo and the tests each look at the same folder. QEMU runs under software emulation, always.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import psutil
from pydantic import BaseModel, ConfigDict

from lab.boot_override import BootOverride, Target
from lab.command import run
from lab.fault import LabFault
from lab.firmware import Firmware, ovmf

QMP_TIMEOUT_S = 10
END_TIMEOUT_S = 20
DISC, CD = "disc.iso", "cd"
PATIENT = "no_timer_check"
"""For a kernel that counts on ticks in time, on a processor that is emulated and shared (IO-APIC + timer)."""
# The setup of this firmware: no IPv6, which nobody answers here (edk2, OvmfPkg/RUNTIME_CONFIG.md).
OFF = ("IPv6PXESupport", "IPv6Support")


class DiskSpec(BaseModel):
    """A disk as the guest sees it. The first disk of a machine is the one its firmware tries first."""

    model_config = ConfigDict(frozen=True)

    name: str
    bus: str
    size_gib: int
    serial: str
    wwn: str | None = None


class MachineSpec(BaseModel):
    """The hardware: enough of it to be told apart, inspected and chosen by hints."""

    model_config = ConfigDict(frozen=True)

    name: str = "bm-1"
    firmware: Firmware = Firmware.UEFI
    memory_mib: int = 1024
    cpus: int = 1  # two under emulation race in code that the kernel patches, or take turns
    mac: str = "52:54:00:b0:00:01"
    tap: str = "bm1"
    manufacturer: str = "Contoso"
    product: str = "BM-2000"
    serial: str = "CZ12345678"
    uuid: str = "4c4c4544-0042-4d10-8053-b1c04f303031"
    cache: str = "writeback"
    virtual_cd: bool = False
    """A drive in which the BMC puts discs."""
    disks: tuple[DiskSpec, ...] = (
        DiskSpec(name="system", bus="scsi", size_gib=5, serial="S4NYNF0M123456", wwn="0x5000c500a1b2c3d4"),
        DiskSpec(name="data", bus="virtio", size_gib=3, serial="DATA0001"),
    )


def qemu_argv(spec: MachineSpec, folder: Path, *, first: Target = Target.NONE) -> list[str]:
    """QEMU's whole command line. In the boot order the network comes first, at every start and every reset, or what was
    asked for does; a CD that was not asked for comes last.
    """
    network, first_disk = (len(spec.disks) + 1, 1) if first is Target.DISK else (1, 2)
    return [
        "qemu-system-x86_64", "-name", spec.name, "-daemonize", "-pidfile", str(folder / "qemu.pid"),
        "-machine", "q35,graphics=off", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", str(spec.cpus),
        "-m", str(spec.memory_mib), "-nodefaults", "-display", "none", "-uuid", spec.uuid,
        "-smbios", f"type=1,manufacturer={spec.manufacturer},product={spec.product},serial={spec.serial}",
        "-chardev", f"file,id=console,path={folder / 'console.log'},append=on", "-serial", "chardev:console",
        "-chardev", f"socket,id=shell,path={folder / 'shell.sock'},server=on,wait=off", "-serial", "chardev:shell",
        "-qmp", f"unix:{folder / 'qmp.sock'},server=on,wait=off",
        "-device", "virtio-rng-pci",
        *_firmware_argv(spec.firmware, folder),
        "-netdev", f"tap,id=net0,ifname={spec.tap},script=no,downscript=no",
        "-device", f"virtio-net-pci,netdev=net0,mac={spec.mac},bootindex={network}{_rom(spec.firmware)}",
        "-device", "virtio-scsi-pci,id=scsi",
        *(
            word
            for index, disk in enumerate(spec.disks, first_disk)
            for word in _disk_argv(disk, index, spec.cache, folder)
        ),
        *(_cd_argv(folder / DISC, 0 if first is Target.CD else len(spec.disks) + 2) if spec.virtual_cd else ()),
    ]  # fmt: skip


def _firmware_argv(firmware: Firmware, folder: Path) -> list[str]:
    if firmware is Firmware.BIOS:
        return []
    return [
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={folder / 'firmware-code.fd'}",
        "-drive", f"if=pflash,unit=1,format=raw,file={folder / 'firmware-variables.fd'}",
        *(word for name in OFF for word in ("-fw_cfg", f"name=opt/org.tianocore/{name},string=no")),
    ]  # fmt: skip


def _rom(firmware: Firmware) -> str:
    """SeaBIOS boots through the card's option ROM (an iPXE); OVMF has its own driver, and is to fetch iPXE by TFTP."""
    return ",romfile=" if firmware is Firmware.UEFI else ""


def _disk_argv(disk: DiskSpec, bootindex: int, cache: str, folder: Path) -> list[str]:
    file = f"format=raw,file={folder / disk.name}.raw,cache={cache},discard=unmap,detect-zeroes=unmap"
    kind = {"scsi": "scsi-hd,bus=scsi.0", "virtio": "virtio-blk-pci"}[disk.bus]
    wwn = f",wwn={disk.wwn}" if disk.wwn else ""
    return [
        "-drive",
        f"if=none,id={disk.name},{file}",
        "-device",
        f"{kind},drive={disk.name},serial={disk.serial}{wwn},bootindex={bootindex}",
    ]


def _cd_argv(disc: Path, bootindex: int) -> list[str]:
    medium = f",format=raw,file={disc}" if disc.exists() else ""
    drive = ["-drive", f"if=none,id=disc,media=cdrom,readonly=on{medium}"]
    return [*drive, "-device", f"scsi-cd,bus=scsi.0,id={CD},drive=disc,bootindex={bootindex}"]


class Machine:
    """The machine of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spec = MachineSpec.model_validate_json((folder / "machine.json").read_bytes())

    @classmethod
    def create(cls, folder: Path, spec: MachineSpec) -> Machine:
        """Make the folder with sparse, empty disks and fresh firmware variables."""
        folder.mkdir(parents=True)
        (folder / "machine.json").write_text(spec.model_dump_json(indent=2))
        for disk in spec.disks:
            with (folder / f"{disk.name}.raw").open("xb") as image:
                image.truncate(disk.size_gib << 30)
        if spec.firmware is Firmware.UEFI:
            code, variables = ovmf()
            (folder / "firmware-code.fd").symlink_to(code)
            shutil.copyfile(variables, folder / "firmware-variables.fd")
        return cls(folder)

    @property
    def console_log(self) -> Path:
        return self.folder / "console.log"

    def disk(self, name: str) -> Path:
        return self.folder / f"{name}.raw"

    def process(self) -> psutil.Process | None:
        """QEMU of this machine while it runs: the pid file is believed only if that process names the same file."""
        try:
            pid_file = self.folder / "qemu.pid"
            process = psutil.Process(int(pid_file.read_text()))
            running = str(pid_file) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.NoSuchProcess):
            return None
        return process if running else None

    @property
    def is_on(self) -> bool:
        return self.process() is not None

    @property
    def boot_override(self) -> BootOverride:
        """Which device comes first at the next start."""
        saved = self.folder / "boot.json"
        return BootOverride.model_validate_json(saved.read_bytes()) if saved.exists() else BootOverride()

    @boot_override.setter
    def boot_override(self, override: BootOverride) -> None:
        (self.folder / "boot.json").write_text(override.model_dump_json(by_alias=True))

    def power_on(self) -> None:
        """Start QEMU in the calling thread's network namespace; on already is no fault."""
        if self.is_on:
            return
        override = self.boot_override
        run(qemu_argv(self.spec, self.folder, first=override.first))
        self.boot_override = override.after_start()

    @property
    def disc(self) -> str | None:
        """The URL of the disc in the drive."""
        url = self.folder / f"{DISC}.url"
        return url.read_text() if url.exists() else None

    def insert(self, url: str, content: BinaryIO) -> None:
        """Put a disc into the drive, now or for the next start."""
        self.eject()
        with (self.folder / DISC).open("wb") as file:
            shutil.copyfileobj(content, file)
        if self.is_on:
            self._qmp("blockdev-change-medium", id=CD, filename=str(self.folder / DISC), format="raw")
        (self.folder / f"{DISC}.url").write_text(url)

    def eject(self) -> None:
        """Take it out, whoever holds the drive shut."""
        if self.is_on and self.disc is not None:
            self._qmp("eject", id=CD, force=True)
        for name in (f"{DISC}.url", DISC):
            (self.folder / name).unlink(missing_ok=True)

    def power_off(self) -> None:
        """Cut the power, as SIGKILL does it: nothing is flushed, nothing is said to the guest."""
        if process := self.process():
            process.kill()
            psutil.wait_procs([process], timeout=END_TIMEOUT_S)

    @contextmanager
    def shell(self) -> Iterator[socket.socket]:
        """The second serial port, where a ramdisk that booted with `bms.shell` has a root shell."""
        with socket.socket(socket.AF_UNIX) as door:
            door.connect(str(self.folder / "shell.sock"))
            yield door

    def reset(self) -> None:
        self._qmp("system_reset")

    def press_power_button(self) -> None:
        """Ask the guest to shut down (ACPI)."""
        self._qmp("system_powerdown")

    def _qmp(self, command: str, **arguments: Any) -> None:
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(QMP_TIMEOUT_S)
            door.connect(str(self.folder / "qmp.sock"))
            with door.makefile("rw") as lines:
                lines.readline()  # the greeting
                for name, more in (("qmp_capabilities", {}), (command, arguments)):
                    lines.write(json.dumps({"execute": name, "arguments": more}) + "\n")
                    lines.flush()
                    _answer(lines, name)


def _answer(lines: Any, command: str) -> None:
    """Read up to the command's answer; events may come in between."""
    for line in lines:
        match json.loads(line):
            case {"error": {"desc": reason}}:
                raise LabFault(f"telling QEMU {command}: {reason}")
            case {"return": _}:
                return
    raise LabFault(f"telling QEMU {command}: it hung up")
