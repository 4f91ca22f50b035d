# SPDX-License-Identifier: Apache-2.0
"""Ironic in a namespace of the tests' own. Its last words go where pytest shows what a failed test printed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import artifacts
from lab.bmc import PORT, USER, Bmc
from lab.ironic import API_URL, Ironic, ending
from lab.ironic_api import IronicApi
from lab.network import CONTROLLER_ADDRESS, Network
from lab.redfish import system_path
from tests.lab.fake_machine import FakeMachine

PASSWORD = "secret"
LOG_LINES = 80


@dataclass(frozen=True)
class Bench:
    """Ironic with one machine that only remembers, and nobody who boots."""

    ironic: Ironic
    api: IronicApi
    machine: FakeMachine
    ramdisk: Path

    @property
    def driver_info(self) -> dict[str, str]:
        """How Ironic comes to its BMC."""
        return {
            "redfish_address": f"http://{CONTROLLER_ADDRESS}:{PORT}",
            "redfish_system_id": system_path(self.machine.spec),
            "redfish_username": USER,
            "redfish_password": PASSWORD,
        }


@pytest.fixture(scope="session")
def ironic_home() -> Path:
    """Ironic's virtual environment."""
    return artifacts.ironic()


@pytest.fixture(scope="module")
def bench(ironic_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Ironic, a BMC, a web server: one for the module, since it takes seconds to start."""
    folder = tmp_path_factory.mktemp("ironic")
    ramdisk = folder / "ramdisk"
    ramdisk.mkdir()
    (ramdisk / "vmlinuz").write_bytes(b"a kernel")
    (ramdisk / "initrd").write_bytes(b"an initrd")
    network = Network(f"bms-test-{os.getpid()}-ironic")
    machine = FakeMachine()
    ironic = Ironic(folder, ironic_home, ramdisk)
    with ExitStack() as stack:
        stack.callback(network.remove)
        network.create()
        stack.enter_context(network.entered())
        stack.enter_context(_served(Bmc((CONTROLLER_ADDRESS, PORT), machine, USER, PASSWORD)))
        stack.callback(ironic.stop)
        ironic.start()
        yield Bench(ironic, IronicApi(API_URL), machine, ramdisk)
        print(ending(ironic.log, LOG_LINES))  # noqa: T201


class _served:
    """A BMC while it is needed."""

    def __init__(self, bmc: Bmc) -> None:
        self._bmc = bmc
        self._thread = threading.Thread(target=bmc.serve_forever, name="bmc")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._bmc.shutdown()
        self._thread.join()
        self._bmc.server_close()
