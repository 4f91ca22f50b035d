# SPDX-License-Identifier: Apache-2.0
"""The lab's Ironic does its work, with a fake agent in the place of a ramdisk: inspection and cleaning, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from lab.boot_override import BootOverride, Enabled, Target
from lab.ironic import API_URL, FILES_URL
from lab.network import CONTROLLER_ADDRESS
from tests.ironic.conftest import Bench
from tests.ironic.fake_agent import FakeAgent

pytestmark = pytest.mark.root

WAIT_S = 60


def command_line(mac: str) -> dict[str, str]:
    """What Ironic would have the machine boot with: the script's kernel line, as the agent reads it."""
    script = requests.get(f"{FILES_URL}/pxelinux.cfg/{mac.replace(':', '-')}", timeout=WAIT_S).text
    line = next(line for line in script.splitlines() if line.startswith("kernel "))
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def boots_the_network(bench: Bench) -> bool:
    """Whether Ironic has just switched the machine on, to boot from the network once."""
    wanted = BootOverride(enabled=Enabled.ONCE, target=Target.NETWORK)
    return bench.machine.pressed[-1:] == ["on"] and bench.machine.boot_override == wanted


def test_ironic_inspects_and_cleans_by_an_agent(bench: Bench, tmp_path: Path) -> None:
    """enrol → manage → inspect → provide: Ironic boots the machine for each, believes the agent, and ends available."""
    api, mac = bench.api, bench.machine.spec.mac
    node = api.enrol("n1", mac, bench.driver_info)
    api.order(node, "manage")
    assert api.wait(node, "manageable", WAIT_S)["power_state"] == "power off"

    with FakeAgent(CONTROLLER_ADDRESS, tmp_path) as agent:
        api.order(node, "inspect")
        api.wait(node, "inspect wait", WAIT_S)
        assert boots_the_network(bench)
        assert agent.inspect(command_line(mac)["ipa-inspection-callback-url"], mac) == node
        found = api.wait(node, "manageable", WAIT_S)
        assert found["properties"] == {
            "cpu_arch": "x86_64", "cpus": "4", "memory_mb": "4096", "local_gb": "4", "capabilities": "boot_mode:uefi"
        } | found["properties"]  # fmt: skip
        assert api.inventory(node)["inventory"]["disks"][0]["serial"] == "S1"

        api.order(node, "provide")
        api.wait(node, "clean wait", WAIT_S)
        assert boots_the_network(bench)
        assert agent.look_up(command_line(mac)["ipa-api-url"], mac) == node
        agent.beat_until(API_URL, node, lambda: api.node(node)["provision_state"] == "available")

    assert agent.names == ["get_clean_steps", "execute_clean_step"]
    assert api.wait(node, "available", WAIT_S)["power_state"] == "power off"
    assert not bench.machine.is_on
