# SPDX-License-Identifier: Apache-2.0
"""What an operator and a user do with the lab's one machine, all of it by `bmsctl`.

The demo shows it to a person, the machine tests judge it. Nothing here reaches into the controller.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.bmc import USER
from lab.daemon import wait_until
from lab.fault import LabFault
from lab.login import Login, make_key
from lab.network import TENANT_CIDR, TENANT_GATEWAY
from lab.site import Site

FLAVOR, IMAGE, VPC, SUBNET, KEY, SERVER = "bm.small", "debian", "lab", "front", "demo", "web-1"
LOGIN_USER = "debian"
ENROL_TIMEOUT_S = 600.0
LOGIN_TIMEOUT_S = 180.0
# For the machine is emulated, and other work may share the computer.
JOB_TIMEOUT_S = 1800.0


class Cloud:
    """The lab's controller as its operator and its user see it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.ask = site.controller.ask
        self.key = site.folder / "key"

    def nodes(self) -> list[Any]:
        return list(self.ask("node", "list"))

    def wait_for_node(self, state: str, timeout_s: float = ENROL_TIMEOUT_S) -> str:
        """The name of the one node, once it is in this state."""
        wait_until(f"the node to be {state}", lambda: [node["state"] for node in self.nodes()] == [state], timeout_s)
        return str(self.nodes()[0]["name"])

    def give_bmc(self, node: str) -> None:
        """Tell the controller how to switch the machine."""
        site = self.site
        options = ["--address", site.bmc_address, "--username", USER, "--password-file", str(site.bmc_password_file)]
        self.ask("node", "bmc", node, *options)

    def register(self, image: Path) -> None:
        """What a server is made of: flavor, image, network, key pair."""
        firmware = self.site.machine.spec.firmware.value
        self.ask("flavor", "create", FLAVOR, "--cores", "2", "--ram-mb", "900", "--disks", "2", "--firmware", firmware)
        self.site.controller.show("image", "create", IMAGE, "--file", str(image))
        self.ask("vpc", "create", VPC, "--cidr", "192.168.0.0/16")
        self.ask("subnet", "create", SUBNET, "--vpc", VPC, "--cidr", TENANT_CIDR, "--gateway", TENANT_GATEWAY)
        self.ask("keypair", "create", KEY, "--public-key", str(make_key(self.key)))

    def order(self) -> list[str]:
        """The words that create the server: on the system disk, which its WWN tells from the other."""
        wwn = self.site.machine.spec.disks[0].wwn
        parts = ["--flavor", FLAVOR, "--image", IMAGE, "--subnet", SUBNET, "--key", KEY]
        return ["server", "create", SERVER, *parts, "--root-device", f"wwn={wwn}"]

    def server(self) -> Any:
        return self.ask("server", "show", SERVER)

    def wait_for_server(self, good: Callable[[Any], bool], what: str, timeout_s: float = JOB_TIMEOUT_S) -> Any:
        """The server, once it is as wanted."""
        wait_until(f"the server to be {what}", lambda: good(self.server()), timeout_s)
        return self.server()

    def login(self) -> Login:
        """The way in, by the address that the cloud gave."""
        return Login(self.key, LOGIN_USER, self.server()["addresses"][0]["address"])

    def phases(self, job_id: str) -> list[tuple[str, float]]:
        """A job's own timeline."""
        return [(phase["name"], _seconds(phase)) for phase in self.ask("job", "show", job_id)["phases"]]

    def check_identity(self, answers: dict[str, str]) -> None:
        """What the server says over ssh must be what was ordered, on the machine that was meant."""
        wanted = {"hostname": SERVER, "machine serial": self.site.machine.spec.serial, "agent service": "active"}
        for name, value in wanted.items():
            if answers[name] != value:
                raise LabFault(f"asking the server for its {name}: {answers[name]!r}, not {value!r}")


def _seconds(phase: Any) -> float:
    began, ended = (datetime.fromisoformat(phase[name]) for name in ("began_at", "ended_at"))
    return (ended - began).total_seconds()
