# SPDX-License-Identifier: Apache-2.0
"""A server whose devices answer: the synthetic Dell, with health in its disks, a module in its NIC, a TPM, sensors."""

from __future__ import annotations

from agent.host.fake import FakeHost, LinkTo, Machine
from agent.model.efi import LoadOption
from agent.model.hardware import ethtool, tpm
from tests.machines import parts, synthetic
from tests.model.hardware import answers

CERTIFICATE = answers.certificate(900)
EK = tpm.CERTIFICATES["rsa2048"]


def host() -> FakeHost:
    """Its doors."""
    return FakeHost.of(machine())


def machine() -> Machine:
    """The machine."""
    built = synthetic.dell_r650()
    for node in ("/dev/nvme0n1", "/dev/nvme1n1"):
        built.drives |= {
            (node, "identify 1 0"): answers.nvme_controller(),
            (node, "identify 2 0"): answers.nvme_list(1),
            (node, "identify 0 1"): answers.nvme_namespace(),
            (node, "log 2"): answers.nvme_health(),
        }
    built.drives["/dev/sda", "scsi 0"] = answers.scsi_pages(0, 13, 47)
    built.drives["/dev/sda", "scsi 13"] = answers.scsi_page(13, (0, b"\0\x1f"))
    built.drives["/dev/sda", "scsi 47"] = answers.scsi_page(47, (0, b"\0\0\x1f"))
    built.drivers |= {
        ("eno1", ethtool.DRIVER_INFO): answers.driver_info(),
        ("eno1", ethtool.LINK_SETTINGS): answers.link_settings(),
        ("eno1", ethtool.MODULE_INFO): b"\x42\0\0\0\2\0\0\0\0\2\0\0".ljust(44, b"\0"),
        ("eno1", ethtool.MODULE_EEPROM): b"\x43\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0" + answers.sfp(),
    }
    built.tpm = taught_tpm()
    built.variables = {
        "SecureBoot": b"\1",
        "SetupMode": b"\0",
        "BootCurrent": b"\3\0",
        "BootOrder": b"\3\0\1\0",
        "Boot0003": LoadOption(label="debian", path=b"\x7f\xff\x04\x00").encode(),
    }
    built.announcements["eno1"] = answers.lldp((1, b"\4\2\0\0\0\0\1"), (2, b"\5eth7"), (5, b"leaf-3a"))
    intel = {"ID_VENDOR_FROM_DATABASE": "Intel Corporation", "ID_MODEL_FROM_DATABASE": "Ethernet Controller X710"}
    built.described["pci"] = {"0000:19:00.0": intel}
    parts.put(built, sysfs(built))
    return finished(built)


def taught_tpm() -> dict[bytes, bytes]:
    """One with an RSA certificate, read in two pieces."""
    size = len(CERTIFICATE)
    return {
        tpm.ask_properties(): answers.tpm_properties(),
        tpm.ask_public(EK): answers.tpm_public(EK, size),
        tpm.ask_piece(EK, 0, 0, 512): answers.tpm_piece(CERTIFICATE[:512]),
        tpm.ask_piece(EK, 0, 512, size - 512): answers.tpm_piece(CERTIFICATE[512:]),
    }


def sysfs(built: Machine) -> dict[str, str | bytes | LinkTo]:
    """Sensors, EDAC, caches, a narrow link."""
    nic = built.tree.resolve("/sys/bus/pci/devices/0000:19:00.0")
    cache = "/sys/devices/system/cpu/cpu{}/cache/index0"
    files: dict[str, str | bytes | LinkTo] = {
        "/usr/lib/udev/hwdb.bin": "",
        "/sys/class/hwmon/hwmon0/name": "coretemp",
        "/sys/class/hwmon/hwmon0/temp1_input": "41000",
        "/sys/class/hwmon/hwmon0/temp1_label": "Package id 0",
        "/sys/class/hwmon/hwmon0/temp1_crit": "100000",
        "/sys/class/hwmon/hwmon0/fan1_input": "5400",
        "/sys/devices/system/edac/mc/mc0/mc_name": "Skylake Socket#0 IMC#0",
        "/sys/devices/system/edac/mc/mc0/size_mb": "32768",
        "/sys/devices/system/edac/mc/mc0/ce_count": "3",
        "/sys/devices/system/edac/mc/mc0/ue_count": "0",
        "/sys/devices/system/edac/mc/mc0/dimm0/dimm_label": "CPU_SrcID#0_MC#0_Chan#0_DIMM#0",
        "/sys/devices/system/edac/mc/mc0/dimm0/dimm_ce_count": "3",
        "/sys/devices/system/edac/mc/mc0/dimm0/dimm_ue_count": "0",
        "/sys/devices/system/cpu/vulnerabilities/meltdown": "Not affected",
        f"{nic}/current_link_width": "4",
        f"{nic}/max_link_width": "8",
        f"{nic}/current_link_speed": "8.0 GT/s PCIe",
        f"{nic}/max_link_speed": "8.0 GT/s PCIe",
        f"{nic}/sriov_totalvfs": "64",
        f"{nic}/sriov_numvfs": "0",
    }
    for address in built.tree.directories["/sys/bus/pci/devices"]:
        function = built.tree.resolve(f"/sys/bus/pci/devices/{address}")
        files[f"{function}/class"] = "0x020000"
        for missing in {"vendor": "0x144d", "device": "0xa808"}.items():
            files.setdefault(f"{function}/{missing[0]}", missing[1])
    for cpu in range(8):
        one = cache.format(cpu)
        files |= {
            f"{one}/level": "1",
            f"{one}/type": "Data",
            f"{one}/size": "48K",
            f"{one}/shared_cpu_list": f"{cpu - cpu % 2}-{cpu - cpu % 2 + 1}",
        }
    return files


def finished(built: Machine) -> Machine:
    """With what is behind doors that are no files."""
    fresh = parts.finished(built)
    fresh.drives, fresh.drivers, fresh.tpm = built.drives, built.drivers, built.tpm
    fresh.variables, fresh.announcements, fresh.described = built.variables, built.announcements, built.described
    return fresh
