# SPDX-License-Identifier: Apache-2.0
"""iPXE scripts: into the ramdisk, or on to the local disk."""

from __future__ import annotations

BIOS_DRIVES = (0x80, 0x81, 0x82, 0x83)


def ramdisk(url: str, mac: str, token: str, extra: str = "", agents: tuple[str, str | None] | None = None) -> str:
    """Kernel and initrd over HTTP; the kernel's command line says where the controller is for agents, and
    whom they trust. A panic boots anew."""
    at, pin = agents or (url, None)
    trusted = f"{at} bms.ca={pin}" if pin else at
    options = (
        f"bms.controller={trusted} bms.token={token} bms.boot_mac={mac} console=tty0 console=ttyS0,115200 panic=10"
    )
    return "\n".join(
        (
            "#!ipxe",
            f"echo bms-agent: {mac} boots the ramdisk of {url}",
            f"kernel {url}/boot/ramdisk/vmlinuz initrd=initrd {options}{' ' + extra if extra else ''} || goto again",
            f"initrd --name initrd {url}/boot/ramdisk/initrd || goto again",
            "boot || goto again",
            ":again",
            "echo bms-agent: the controller did not give everything, asking again in 10 seconds",
            "imgfree",
            "sleep 10",
            f"chain --replace {url}/boot/ipxe?mac={mac}&again={token} || goto again",
            "",
        )
    )


def wait(url: str, mac: str) -> str:
    """There is work for the machine, and this is not the boot in which it is done."""
    return "\n".join(
        (
            "#!ipxe",
            ":again",
            f"echo bms-agent: {mac} waits for the controller to boot it, asking again in 10 seconds",
            "sleep 10",
            f"chain --replace {url}/boot/ipxe?mac={mac} || goto again",
            "",
        )
    )


def local_disk(mac: str) -> str:
    """UEFI goes on along its own boot order when iPXE exits with a failure (a boot option that returns success ends in
    the setup menu: UEFI 2.10 section 3.1.1, edk2 BdsEntry); on BIOS the disks are tried in turn: iPXE refuses one
    without a boot sector, so a blank disk before the system disk does no harm."""
    drives = [f"sanboot --no-describe --drive {drive:#x} ||" for drive in BIOS_DRIVES]
    return "\n".join(
        (
            "#!ipxe",
            f"echo bms-agent: {mac} boots its local disk",
            "iseq ${platform} efi && goto firmware ||",
            *drives,
            ":firmware",
            "exit 1",
            "",
        )
    )
