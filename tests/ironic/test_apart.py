# SPDX-License-Identifier: Apache-2.0
"""Under real Ironic, in a machine of 768 MiB: who is called, and who calls, has no rights, and outlives root."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import artifacts
from lab.machine import MachineSpec
from tests.bench.small import MEMORY_MIB
from tests.ironic.chain import STATE_S, Chain, running
from tests.ironic.image import Image
from tests.ironic.strike import STRUCK, struck, under_way, when

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

DYNAMIC = 61184
"""The first of systemd's dynamic users."""
USER = r"(\d+)"
LOOK = (
    "for one in api link ramdisk; do pid=$(systemctl show -P MainPID bms-agent-$one); "
    "echo $one: $(stat -c %u /proc/$pid) $(grep -h -e ^Pss: /proc/$pid/smaps_rollup) "
    "$(grep MemAvailable: /proc/meminfo) >/dev/console; done\n"
)


def test_root_killed_with_an_order_in_its_hands(ironic_home: Path, tmp_path: Path) -> None:
    """The order is on record, and root's process dies, whether or not Ironic has heard so far: it hears it from the
    next one, by the process that it called, and the deployment ends well."""
    image = Image(tmp_path, artifacts.ramdisk() / "vmlinuz")
    with running(ironic_home, tmp_path, MachineSpec(memory_mib=MEMORY_MIB)) as site:
        chain = Chain(site, automated_clean=False)
        chain.available()
        chain.want(image.file)
        with struck(site, when(under_way("deploy.execute_deploy_step")) + LOOK):
            chain.api.order(chain.node, "active")
            found = chain.api.wait_for_any(chain.node, ("active", "deploy failed"), STATE_S, poll_s=1)
        console = chain.console()
        print(*re.findall(f"(?:api|link|ramdisk): {USER} Pss.*", console), sep="\n")  # noqa: T201
        assert found["provision_state"] == "active", found["last_error"]
        assert image.differences(chain.disk) == []

    users = {one: [*map(int, re.findall(f"{one}: {USER} Pss", console))] for one in ("api", "link")}
    assert STRUCK in console and len(set(re.findall(r"bms-agent\[(\d+)\]", console))) == 2
    assert len(set(re.findall(r"bms-agent-api\[(\d+)\]", console))) == 1
    assert all(found and min(found) >= DYNAMIC for found in users.values()), users
