# SPDX-License-Identifier: Apache-2.0
"""A machine of the lab that real Ironic is in charge of, with any ramdisk, and what it has used until a log says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import artifacts
from lab.bmc import PORT, USER
from lab.daemon import tail
from lab.fault import LabFault
from lab.ironic import API_URL, Ironic
from lab.ironic_api import IronicApi
from lab.machine import PATIENT, MachineSpec
from lab.network import CONTROLLER_ADDRESS
from lab.redfish import system_path
from lab.site import Site

HEARD = b"RPC heartbeat called for node"
STATE_S = 120
GLANCE_S = 0.02
APPEND = f"nofb vga=normal console=ttyS0 {PATIENT}"


class Words:
    """A log that grows: what it has said since it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = path.stat().st_size
        self._rest = b""

    def say(self, words: bytes) -> bool:
        """Whether it has said so by now."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            more = file.read()
        self._read += len(more)
        said = self._rest + more
        self._rest = said[-len(words) :]
        return words in said


@contextmanager
def node(
    ramdisk: Path, spec: MachineSpec, append: str = APPEND, **fields: Any
) -> Iterator[tuple[Site[Ironic], IronicApi, str]]:
    """A machine that Ironic is in charge of, manageable; and whom to ask."""
    home = artifacts.ironic()
    with Site.with_engine(spec, lambda folder: Ironic(folder, home, ramdisk)) as site:
        api = IronicApi(API_URL)
        driver_info = {
            "redfish_address": f"http://{CONTROLLER_ADDRESS}:{PORT}",
            "redfish_system_id": system_path(spec),
            "redfish_username": USER,
            "redfish_password": site.bmc_password_file.read_text(),
            "kernel_append_params": append,
        }
        uuid = api.enrol(spec.name, spec.mac, driver_info, **fields)
        api.order(uuid, "manage")
        api.wait(uuid, "manageable", STATE_S)
        yield site, api, uuid


def moment(site: Site[Ironic], log: Words, words: bytes, timeout_s: float) -> tuple[float, float]:
    """When a log says so: time, and what QEMU has used of CPU until then."""
    deadline = time.monotonic() + timeout_s
    while not log.say(words):
        if time.monotonic() > deadline:
            raise LabFault(f"waiting for {words!r}: not within {timeout_s:.0f} s\n{tail(site.machine.console_log)}")
        time.sleep(GLANCE_S)
    machine = site.machine.process()
    if machine is None:
        raise LabFault("the machine is off")
    used = machine.cpu_times()
    return time.monotonic(), used.user + used.system
