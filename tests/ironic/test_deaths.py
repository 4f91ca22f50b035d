# SPDX-License-Identifier: Apache-2.0
"""The agent killed, and its machine, at the moments that matter: Ironic redoes or fails, and never goes ACTIVE on half.

The agent killed in the midst of writing is in test_chain.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from lab import artifacts
from lab.daemon import wait_until
from lab.disk import allocated_bytes, is_bootable
from lab.machine import MachineSpec
from tests.ironic.chain import STATE_S, Chain, running
from tests.ironic.image import MIB, Image
from tests.ironic.strike import ORDER, PAUSE_S, STATE, STRUCK, struck, under_way, when

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

STEP = under_way("deploy.execute_deploy_step")
ENDED = f"{STEP}; do sleep {PAUSE_S}; done; until [ ! -e {ORDER} ]"
MOMENTS = {
    "the order is on record, its job hardly": STEP,
    "the image is written, and that is on record": ENDED,
    "Ironic asks for partitions": f"grep -q get_partition_uuids {STATE}/held.json 2>/dev/null",
    "a boot entry is made": under_way("image.install_bootloader"),
}
IMPATIENT = {"conductor": {"deploy_callback_timeout": "600", "check_provision_state_interval": "10"}}
"""More than a boot takes beside other work (500 s were seen): it ends the wait for a ramdisk without token."""


def agents(console: str) -> set[str]:
    """The processes that the agent was, one after the other."""
    return set(re.findall(r"bms-agent\[(\d+)\]", console))


def test_the_agent_killed_at_every_turn(ironic_home: Path, tmp_path: Path) -> None:
    """Whenever it is: ACTIVE with the right bytes, or failed with a reason, after which the same works."""
    loader = artifacts.ramdisk() / "vmlinuz"
    images = [Image(tmp_path, loader, seed) for seed in (1, 2)]
    with running(ironic_home, tmp_path, MachineSpec()) as site:
        chain = Chain(site, automated_clean=False)
        chain.available()
        target = "active"
        for turn, (moment, condition) in enumerate(MOMENTS.items()):
            image = images[turn % 2]
            chain.want(image.file)
            said, began = chain.said, time.monotonic()
            with struck(site, when(condition)):
                chain.api.order(chain.node, target)
                found = chain.api.wait_for_any(chain.node, ("active", "deploy failed"), STATE_S, poll_s=1)
            print(f"{moment}: {found['provision_state']}, {time.monotonic() - began:.0f} s; {found['last_error']}")  # noqa: T201
            assert STRUCK in chain.console(said), moment
            assert len(agents(chain.console(said))) == 2, moment
            if found["provision_state"] == "active":
                assert image.differences(chain.disk) == [], moment
            else:
                assert found["last_error"], moment
            target = "rebuild"


def test_the_machine_power_cycled_while_it_writes(ironic_home: Path, tmp_path: Path) -> None:
    """A ramdisk that boots anew has nothing of what was ordered: the deployment fails, and the disk does not boot."""
    image = Image(tmp_path, artifacts.ramdisk() / "vmlinuz")
    with running(ironic_home, tmp_path, MachineSpec(), IMPATIENT) as site:
        chain = Chain(site, automated_clean=False)
        chain.available()
        chain.want(image.file)
        chain.api.order(chain.node, "active")
        wait_until("the image to be written", lambda: allocated_bytes(chain.disk) > 2 * MIB, STATE_S, poll_s=0.05)
        site.machine.power_off()
        assert not is_bootable(chain.disk)
        site.machine.power_on()
        found = chain.api.wait_for_any(chain.node, ("active", "deploy failed"), STATE_S, poll_s=1)
        assert found["provision_state"] == "deploy failed" and found["last_error"]
        assert not is_bootable(chain.disk)

        chain.go("active", "active")
        assert image.differences(chain.disk) == []
