# SPDX-License-Identifier: Apache-2.0
"""What an operator and a user do with the lab's one machine under the embedded controller, all of it by `bmsctl`.

The demo shows it to a person, the machine tests judge it. Nothing here reaches into the controller.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.bmc import USER
from lab.controller import BMSCTL, Controller
from lab.daemon import wait_until
from lab.fault import LabFault
from lab.login import WRITER, Login, make_key
from lab.network import TENANT_CIDR, TENANT_GATEWAY
from lab.site import Site
from lab.story import Phase

FLAVOR, IMAGE, VPC, SUBNET, GROUP, KEY, SERVER = "bm.small", "debian", "lab", "front", "web", "demo", "web-1"
LOGIN_USER = "debian"
ENROL_TIMEOUT_S = 600.0
LOGIN_TIMEOUT_S = 180.0
POLL_S = 2.0  # every look is a bmsctl process
# For the machine is emulated, and other work may share the computer.
JOB_TIMEOUT_S = 1800.0


class Cloud:
    """`lab.story.Cloud` by bmsctl. `echo` is told every command that changes something."""

    login_timeout_s = LOGIN_TIMEOUT_S

    def __init__(
        self, site: Site[Controller], user: str = LOGIN_USER, echo: Callable[[str], object] = lambda _: None
    ) -> None:
        self.site = site
        self.user = user
        self.echo = echo
        self.key = site.folder / "key"

    def look(self, *words: str) -> Any:
        """Ask something."""
        return self.site.controller.ask(*words)

    def do(self, *words: str) -> Any:
        """Order something."""
        self.echo(shlex.join(["bmsctl", *words]))
        return self.site.controller.ask(*words)

    def show(self, *words: str, timeout_s: float = JOB_TIMEOUT_S) -> None:
        """The command's own output, for the person at the terminal."""
        self.echo(shlex.join(["bmsctl", *words]))
        self.site.controller.show(*words, timeout_s=timeout_s)

    def taking_in(self) -> list[Phase]:
        """The machine boots the ramdisk, which enrols it; its inventory is there."""
        return [
            Phase("power on, boot the ramdisk over the network, enrol", self._power_on, spinner=True),
            Phase("look at the node, tell its BMC", self._look_at_node),
        ]

    def _power_on(self) -> None:
        self.site.machine.power_on()
        self.wait_for_node("available")

    def _look_at_node(self) -> None:
        node = self.wait_for_node("available")
        self.show("node", "show", node)
        self.give_bmc(node)

    def creating(self, image: Path) -> list[Phase]:
        """The user's catalogue, and a server of it."""
        return [
            Phase("register flavor, image, subnet, security group, key pair", lambda: self.register(image)),
            Phase(
                "create the server: write the image, boot it, be told by it", lambda: self._follow(self.create_server())
            ),
        ]

    def deleting(self) -> list[Phase]:
        """The ramdisk wipes the node."""
        return [
            Phase(
                "delete the server: boot the ramdisk again, wipe every disk", lambda: self._follow(self.delete_server())
            )
        ]

    def _follow(self, job_id: str) -> list[tuple[str, float]]:
        """Show the job until it is over; its phases."""
        self.show("job", "wait", job_id, timeout_s=JOB_TIMEOUT_S)
        return self.phases(job_id)

    def check_available(self) -> None:
        """Seen in the list of nodes."""
        self.wait_for_node("available")
        self.show("node", "list")

    def show_server(self) -> None:
        """With its addresses."""
        self.show("server", "show", self.server()["name"])

    def what_to_try(self) -> list[str]:
        """Commands, in the lab's namespace."""
        inside = f"ip netns exec {self.site.network.namespace}"
        exports = " ".join(f"{name}={value}" for name, value in self.site.controller.environment.items())
        orders = (f"server show {SERVER}", f"server reinstall {SERVER} --wait", f"server delete {SERVER} --wait")
        return [
            f"export {exports}",
            f"{inside} {BMSCTL} node list",
            f"{inside} {' '.join(self.login().argv)}",
            *(f"{inside} {BMSCTL} {order}" for order in orders),
        ]

    def wait_for_node(self, state: str, timeout_s: float = ENROL_TIMEOUT_S) -> str:
        """The name of the one node, once it is in this state."""

        def states() -> list[str]:
            return [node["state"] for node in self.look("node", "list")]

        wait_until(f"the node to be {state}", lambda: states() == [state], timeout_s, POLL_S)
        return str(self.look("node", "list")[0]["name"])

    def give_bmc(self, node: str) -> None:
        """Tell the controller how to switch the machine."""
        site = self.site
        options = ["--address", site.bmc_address, "--username", USER, "--password-file", str(site.bmc_password_file)]
        self.do("node", "bmc", node, *options)

    def register(self, image: Path) -> None:
        """What a server is made of: flavor, image, network, a security group that lets ssh in, key pair."""
        firmware = self.site.machine.spec.firmware.value
        self.do("flavor", "create", FLAVOR, "--cores", "1", "--ram-mb", "900", "--disks", "2", "--firmware", firmware)
        self.show("image", "create", IMAGE, "--file", str(image))
        self.do("vpc", "create", VPC, "--cidr", "192.168.0.0/16")
        self.do("subnet", "create", SUBNET, "--vpc", VPC, "--cidr", TENANT_CIDR, "--gateway", TENANT_GATEWAY)
        self.do("security-group", "create", GROUP)
        self.do("security-group", "rule", "add", GROUP, "--direction", "in", "--protocol", "tcp", "--port", "22")
        self.do("keypair", "create", KEY, "--public-key", str(make_key(self.key)))

    def create_server(self) -> str:
        """Order it, on the system disk, which its WWN tells from the other; the job's id."""
        parts = ["--flavor", FLAVOR, "--image", IMAGE, "--subnet", SUBNET, "--security-group", GROUP, "--key", KEY]
        hint = f"wwn={self.site.machine.spec.disks[0].wwn}"
        return str(self.do("server", "create", SERVER, *parts, "--root-device", hint)["job_id"])

    def delete_server(self) -> str:
        """Order its end; the job's id."""
        return str(self.do("server", "delete", SERVER)["job_id"])

    def server(self) -> Any:
        return self.look("server", "show", SERVER)

    def wait_for_end(self, job_id: str) -> Any:
        """The job, once it is over, well or not."""
        wait_until(
            "the job to be over", lambda: self.look("job", "show", job_id)["end_time"] is not None, JOB_TIMEOUT_S
        )
        return self.look("job", "show", job_id)

    def login(self) -> Login:
        """The way in, by the address that the cloud gave."""
        return Login(self.key, self.user, self.server()["addresses"][0]["address"])

    def phases(self, job_id: str) -> list[tuple[str, float]]:
        """A job's own timeline, once it is over."""
        return [(phase["name"], _seconds(phase)) for phase in self.look("job", "show", job_id)["phases"]]

    def check_identity(self, answers: dict[str, str]) -> None:
        """What the server says over ssh must be what was ordered, on the machine that was meant."""
        wanted = {"hostname": SERVER, "machine serial": self.site.machine.spec.serial, WRITER: "no root"}
        if self.server()["boot_proof"] == "agent":
            wanted |= {"agent service": "active", "calls made by": "no root"}
        for name, value in wanted.items():
            if answers[name] != value:
                raise LabFault(f"asking the server for its {name}: {answers[name]!r}, not {value!r}")


def _seconds(phase: Any) -> float:
    began, ended = (datetime.fromisoformat(phase[name]) for name in ("began_at", "ended_at"))
    return (ended - began).total_seconds()
