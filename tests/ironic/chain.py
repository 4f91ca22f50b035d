# SPDX-License-Identifier: Apache-2.0
"""One machine that real Ironic drives by our ramdisk, from state to state: what the tests of all flows share."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import artifacts
from lab.bmc import PORT, USER
from lab.boot_override import BootOverride, Enabled, Target
from lab.daemon import tail
from lab.ironic import API_URL, FILES_URL, Ironic, Settings, ending
from lab.ironic_api import IronicApi
from lab.machine import PATIENT, MachineSpec
from lab.network import CONTROLLER_ADDRESS
from lab.redfish import system_path
from lab.site import Site
from tests.ironic.image import Image

# The machine is emulated, and other work may share the computer: beside eight times as much a boot took 500 s.
STATE_S, BOOT_S = 2700, 900
CONSOLE_LINES, LOG_LINES = 60, 80
ROOT = MachineSpec().disks[0]
DISK_FIRST = BootOverride(enabled=Enabled.CONTINUOUS, target=Target.DISK)
SHELL = f"nofb vga=normal console=ttyS0 bms.shell {PATIENT}"


@contextmanager
def running(home: Path, folder: Path, spec: MachineSpec, changes: Settings | None = None) -> Iterator[Site[Ironic]]:
    """A machine and Ironic; the logs of both stay in the folder, and their ends are shown if the test fails."""
    ramdisk = artifacts.ramdisk()
    with Site.with_engine(spec, lambda lab: Ironic(lab, home, ramdisk, changes)) as site:
        try:
            yield site
        finally:
            for log in (site.controller.log, site.machine.console_log):
                if log.exists():
                    shutil.copy(log, folder)
            print(ending(folder / "ironic.log", LOG_LINES))  # noqa: T201
            print(tail(folder / "console.log", CONSOLE_LINES))  # noqa: T201


def step(name: str, interface: str = "deploy", **args: Any) -> dict[str, Any]:
    """As an operator orders it."""
    return {"interface": interface, "step": name, "args": args}


class Chain:
    """One node of Ironic; how long each state took is printed. `fields` are its own, beside what each must have."""

    def __init__(self, site: Site[Ironic], **fields: Any) -> None:
        self.site = site
        self.api = IronicApi(API_URL)
        spec = site.machine.spec
        driver_info = {
            "redfish_address": f"http://{CONTROLLER_ADDRESS}:{PORT}",
            "redfish_system_id": system_path(spec),
            "redfish_username": USER,
            "redfish_password": site.bmc_password_file.read_text(),
            "kernel_append_params": SHELL,
            **fields.pop("driver_info", {}),
        }
        self.node = self.api.enrol("bm-1", spec.mac, driver_info, **fields)
        self.disk = site.machine.disk(ROOT.name)

    def go(self, target: str, state: str, **more: Any) -> Any:
        """Order it and wait for where it leads."""
        began = time.monotonic()
        self.api.order(self.node, target, **more)
        found = self.api.wait(self.node, state, STATE_S, poll_s=1)
        print(f"{target} -> {state}: {time.monotonic() - began:.0f} s")  # noqa: T201
        return found

    def available(self) -> None:
        """Of a node that was just enrolled, and is not cleaned (`automated_clean`)."""
        self.go("manage", "manageable")
        self.go("provide", "available")

    def want(self, file: Path, **more: Any) -> dict[str, Any]:
        """What is to be deployed from now on: this file, by its digest. What Ironic was told of it."""
        served = self.site.controller.served / file.name
        if not served.exists():
            shutil.copyfile(file, served)
        instance = {
            "image_source": f"{FILES_URL}/{file.name}",
            "image_os_hash_algo": "sha256",
            "image_os_hash_value": Image.digest(file),
            "root_device": {"wwn": ROOT.wwn},
        } | more
        self.api.set(self.node, instance_info=instance)
        return instance

    def image_info(self, file: Path, disk_format: str) -> dict[str, Any]:
        """The same as an argument of a step that an operator writes himself."""
        info = self.want(file)
        digest = {"os_hash_algo": info["image_os_hash_algo"], "os_hash_value": info["image_os_hash_value"]}
        return {"id": file.name, "urls": [info["image_source"]], "disk_format": disk_format, **digest}

    @property
    def said(self) -> int:
        """How much the machine has said so far; see `console`."""
        log = self.site.machine.console_log
        return log.stat().st_size if log.exists() else 0

    def console(self, start: int = 0) -> str:
        """What the machine said since then."""
        return self.site.machine.console_log.read_bytes()[start:].decode(errors="replace")

    def boots(self, start: int = 0) -> int:
        """How often a kernel has started since then."""
        return self.console(start).count("Linux version ")

    @property
    def address(self) -> str:
        """The one that the machine was given last."""
        told = (self.site.folder / "dnsmasq.log").read_text()
        given: list[str] = re.findall(rf"DHCPACK\(\w+\) ([0-9.]+) {self.site.machine.spec.mac}", told)
        return given[-1]
