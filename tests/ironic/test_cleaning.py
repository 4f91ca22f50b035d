# SPDX-License-Identifier: Apache-2.0
"""Cleaning under real Ironic: every disk erased, by hand with a disk spared, and called off in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.daemon import wait_until
from lab.disk import first_nonzero_byte
from lab.machine import MachineSpec
from tests.ironic.chain import STATE_S, Chain, running, step
from tests.ironic.strike import answered, struck, under_way, when

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

ERASING = {"deploy": {"erase_devices_priority": "10"}}
SYSTEM, DATA = MachineSpec().disks
DEEP = 1 << 30  # where no partition table or label is looked for


def leave(disk: Path, offset: int) -> None:
    """A tenant's data."""
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(b"a tenant's secret")


def table(disk: Path) -> None:
    """What the kernel takes for a disk with an MBR."""
    with disk.open("r+b") as file:
        file.seek(510)
        file.write(b"\x55\xaa")


def test_cleaning(ironic_home: Path, tmp_path: Path) -> None:
    """Called off while it runs, then by hand with one disk spared, then all of it: zeroes everywhere."""
    with running(ironic_home, tmp_path, MachineSpec(), ERASING) as site:
        system, data = (site.machine.disk(disk.name) for disk in (SYSTEM, DATA))
        chain = Chain(site)
        chain.go("manage", "manageable")
        call_off(chain)

        for disk in (system, data):
            leave(disk, DEEP)
            table(disk)
        chain.api.set(chain.node, properties__skip_block_devices=[{"serial": DATA.serial}])
        forget = step("clean_uefi_nvram", match_patterns=["Ubuntu"])
        chain.go("clean", "manageable", clean_steps=[step("erase_devices_metadata"), forget])
        assert (first_nonzero_byte(system), first_nonzero_byte(data)) == (DEEP, 510)

        chain.api.set(chain.node, properties__skip_block_devices=[])
        chain.go("provide", "available")
        assert (first_nonzero_byte(system), first_nonzero_byte(data)) == (None, None)
        assert not site.machine.is_on


def call_off(chain: Chain) -> None:
    """Ironic is told to stop while a step runs, which is held up for that."""
    with struck(chain.site, when(answered(under_way("clean.execute_clean_step")), signal="STOP")):
        chain.api.order(chain.node, "clean", clean_steps=[step("erase_devices_metadata")])
        wait_until("the step to run", lambda: bool(chain.api.node(chain.node)["clean_step"]), STATE_S)
        chain.api.wait(chain.node, "clean wait", STATE_S)
        chain.api.order(chain.node, "abort")
        stopped = chain.api.wait(chain.node, "clean failed", STATE_S)
    assert "abort" in stopped["last_error"].lower()
    assert not chain.site.machine.is_on
    chain.go("manage", "manageable")
