# SPDX-License-Identifier: Apache-2.0
"""The next boot: what the unit loads from what was saved, in a kernel that knows nothing."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from agent.apply.network.firewall import SAVED_FIREWALL, SAVED_MEMBERS, change_members, replace_firewall, set_eips
from agent.host.doors import Host
from agent.host.fake import FakeHost
from agent.host.files import RealFiles
from agent.host.nftables import RealNftables
from agent.inventory.network.firewall import loaded_digests
from agent.model.network import Eip, EipMode, Firewall, SecurityGroup, eips_digest
from agent.model.network.step import ChangeMembers, ReplaceFirewall, SetEips
from tests.bench.links import Machine
from tests.host.machines import inside, machines
from tests.loops import command

pytestmark = pytest.mark.root
UNIT = Path(__file__).resolve().parents[2] / "systemd" / "bms-agent-firewall.service"
FIREWALL = Firewall.model_validate(
    {"groups": (SecurityGroup(id="web"),), "links": {"eth0": ("web",)}, "members": {"web": ("10.0.0.1",)}}
)
EIPS = (Eip(address=IPv4Address("203.0.113.1"), private=IPv4Address("10.0.0.5"), link="eth0", mode=EipMode.HOST),)
JOINING = ChangeMembers(add={"web": (IPv4Address("10.0.0.2"),)}, digest="f" * 64)


@pytest.fixture
def server() -> Iterator[Machine]:
    """One machine."""
    with machines(1) as found:
        yield found[0]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Its doors; its files are below a directory."""
    return replace(FakeHost.with_files({}), nftables=RealNftables(), files=RealFiles(str(tmp_path)))


def boot(machine: Machine, host: Host) -> tuple[str | None, str | None]:
    """Lose all rules, then run what the unit runs; what is loaded."""
    command(*machine.inside, "nft", "flush", "ruleset")
    commands = [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith("ExecStart=")]
    assert len(commands) == 3
    for each in commands:
        text = each.lstrip("-").replace("/var/lib", host.files.real_path("/var/lib"))
        done = subprocess.run([*machine.inside, *shlex.split(text)], capture_output=True, text=True, check=False)
        assert done.returncode == 0 or each.startswith("-"), done.stderr
    return inside(machine, lambda: loaded_digests(host))


def test_what_is_saved_stands_again(server: Machine, host: Host) -> None:
    """Nothing, a firewall, members that came since, EIPs: each as it was; a new firewall forgets the changes."""
    assert boot(server, host) == (None, None)
    inside(server, lambda: replace_firewall(host, ReplaceFirewall(firewall=FIREWALL)))
    assert boot(server, host) == (FIREWALL.digest, None)
    inside(server, lambda: change_members(host, JOINING))
    assert boot(server, host) == (JOINING.digest, None)
    inside(server, lambda: set_eips(host, SetEips(eips=EIPS)))
    assert boot(server, host) == (JOINING.digest, eips_digest(EIPS))
    inside(server, lambda: replace_firewall(host, ReplaceFirewall(firewall=FIREWALL)))
    assert boot(server, host) == (FIREWALL.digest, eips_digest(EIPS))


@pytest.mark.parametrize("spoilt", [b"\0" * 100, b"add elem", b"add element inet bms_agent members-web-4 { 10."])
def test_a_spoilt_end_is_no_open_door(server: Machine, host: Host, spoilt: bytes) -> None:
    """Changes of which a power cut left a part are not loaded, and the firewall stands as it was before them."""
    inside(server, lambda: replace_firewall(host, ReplaceFirewall(firewall=FIREWALL)))
    inside(server, lambda: change_members(host, JOINING))
    host.files.append(SAVED_MEMBERS, spoilt)

    assert boot(server, host) == (FIREWALL.digest, None)


def test_nobody_else_reads_it(server: Machine, host: Host) -> None:
    """Who may reach a tenant's server is nobody else's business."""
    inside(server, lambda: replace_firewall(host, ReplaceFirewall(firewall=FIREWALL)))
    inside(server, lambda: change_members(host, JOINING))

    for path in (SAVED_FIREWALL, SAVED_MEMBERS):
        assert Path(host.files.real_path(path)).stat().st_mode & 0o777 == 0o600
