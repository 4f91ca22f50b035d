# SPDX-License-Identifier: Apache-2.0
"""Agent and controller, both real, over loopback; only the machine is fake. From enrolment to a wiped node."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import requests

from agent import ramdisk, service
from agent.config import Settings, load
from agent.controller.context import Controller, open_controller
from agent.controller.flow.tick import tick
from agent.controller.options import Options
from agent.controller.process import Server
from agent.errors import AgentError
from agent.host.clock import RealClock
from agent.host.doors import Host
from agent.host.fake import FakeHost, LinkTo, Machine, Output, silent
from agent.host.fetch import RealFetch
from agent.life.sd_notify import Notifier
from agent.model.call import CALLS, Call
from tests.apply.disks import MIB, disk_of, gpt_image, machine
from tests.hardware import MAC, NETWORKD, link
from tests.link.beside import overheard

DRIVE = "/run/bms-agent/config-drive/bms-agent/service.json"
ENO1 = link(up=True)
Run = Callable[[Host, Settings, Event, Notifier], object]


class Cloud:
    """The controller, and a user of it."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """A user's call; the answer's body."""
        answer = requests.request(method, f"{self.url}{path}", headers=self.headers, timeout=20, **arguments)
        assert answer.ok, answer.text
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text

    def until(self, path: str, field: str, value: str) -> Any:
        """Wait until a field has that value."""
        for _ in range(600):
            seen = self.call("GET", path)
            if seen[field] == value:
                return seen
            assert "fault" not in seen or seen["fault"] is None, seen["fault"]
            Event().wait(0.05)
        raise AssertionError(f"{path}: {field} is {seen[field]}, not {value}")


@contextmanager
def cloud(data: Path, *, tls: bool = False) -> Iterator[Cloud]:
    """A controller on loopback, with its threads."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(closing(socket.create_server(("127.0.0.1", 0)))) for _ in range(1 + tls)]
        addresses = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
        url, secured = f"http://{addresses[0]}", addresses[1] if tls else None
        options = Options(data=data, url=url, listen=addresses[0], listen_tls=secured, enrolment="auto")
        controller = open_controller(options)
        server, stop = Server(controller), Event()
        threads = [
            Thread(target=lambda: server.run(sockets=listeners)),
            Thread(target=look_around, args=(controller, stop)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield Cloud(url, controller.user_token)
        finally:
            stop.set()
            controller.wakeups.close()
            server.should_exit = True
            for thread in threads:
                thread.join(20)
            controller.store.close()


def look_around(controller: Controller, stop: Event) -> None:
    """The controller's own timer."""
    while not stop.wait(0.2):
        tick(controller)


@contextmanager
def running(run: Run, made: Machine, settings: Settings) -> Iterator[None]:
    """The agent in one of its modes, until the block ends."""
    host = replace(FakeHost.of(made), fetch=RealFetch(), clock=RealClock())
    stop, failures = Event(), []

    def main() -> None:
        try:
            run(host, settings, stop, Notifier({}))
        except AgentError as error:
            failures.append(error)

    thread = Thread(target=main)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
    assert failures == [] and not thread.is_alive()


def ramdisk_settings(world: Cloud, link: str = "/nowhere") -> Settings:
    """What the kernel command line says, from the iPXE script that the machine gets."""
    script = requests.get(f"{world.url}/boot/ipxe", params={"mac": MAC}, timeout=5).text
    assert "boot/ramdisk/vmlinuz" in script
    return load(None, f"{script} bms.poll_s=0.5 bms.link_socket={link}")


def powered(made: Machine, order: str) -> None:
    """Wait until the agent gave this order to its machine."""
    for _ in range(600):
        if made.power_orders == [order]:
            made.power_orders.clear()
            return
        Event().wait(0.05)
    raise AssertionError(f"no {order}: {made.power_orders}")


def boot_into_disk(made: Machine, boot_id: str) -> None:
    """What firmware, kernel and udev do with the disk that was written."""
    text = disk_of(made).durable.read(made_drive_offset(made), 64 * 1024)
    identity = text[text.index(b"::bms-agent/service.json=") :].partition(b"=")[2]
    whole = json.JSONDecoder().raw_decode(identity.decode(errors="replace"))[0]
    made.tree.put("/proc/sys/kernel/random/boot_id", f"{boot_id}\n".encode())
    made.tree.put("/proc/sys/kernel/hostname", b"web1\n")
    made.tree.put("/etc/machine-id", b"0123456789abcdef0123456789abcdef\n")
    for path in NETWORKD:
        made.tree.put(path, b"")
    made.tree.put("/proc/self/mountinfo", b"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    made.tree.put("/sys/dev/block/8:1", LinkTo("/sys/block/sda/sda1"))
    made.record.udev["sda1"] = {"DEVTYPE": "partition", "ID_FS_TYPE": "ext4", "USEC_INITIALIZED": "1"}
    made.record.udev["sda2"] = {"DEVTYPE": "partition", "ID_FS_LABEL": "config-2", "USEC_INITIALIZED": "1"}

    def mount(machine: Machine, argv: object, stdin: str | None) -> Output:
        machine.tree.put(DRIVE, json.dumps(whole).encode())
        return Output()

    made.programs |= {"mount": mount, "umount": silent}


def made_drive_offset(made: Machine) -> int:
    """Where the config drive is."""
    return disk_of(made).size_bytes - 65 * MIB


@pytest.mark.parametrize("tls", [False, True])
def test_from_enrolment_to_a_wiped_node(tmp_path: Path, tls: bool) -> None:
    """Enrolled, given its image, its boot proven: ACTIVE. Deleted: wiped, and available again."""
    with cloud(tmp_path, tls=tls) as world:
        go_through(world, server_machine(), gpt_image())


def test_all_of_it_through_another_process(tmp_path: Path) -> None:
    """The same where a process of its own speaks to the controller, by TLS: every call that both modes make."""
    heard: list[tuple[Call, bytes, bytes]] = []
    with cloud(tmp_path, tls=True) as world, overheard(tmp_path, heard) as socket_path:
        made = server_machine()
        made.tree.put(socket_path, b"")
        go_through(world, made, gpt_image(), socket_path)
    by_hand_or_later = {"/v1/agent/bundles", "/v1/agent/inventory"}
    assert {call.path for call, _, _ in heard} >= {path for _, path in CALLS} - by_hand_or_later


def server_machine() -> Machine:
    """With two disks, and a NIC that it boots from."""
    made = machine(2048 * MIB, 4096 * MIB)
    made.links["eno1"] = ENO1
    made.tree.put("/proc/cpuinfo", b"processor : 0\nvendor_id : GenuineIntel\nmodel name : Fake\nflags : lm\n\n")
    made.tree.put("/sys/kernel/cpu_byteorder", b"little\n")
    made.tree.put("/sys/class/net/eno1/device/vendor", b"0x8086\n")
    made.tree.put("/sys/class/net/eno1/address", f"{MAC}\n".encode())
    return made


def go_through(world: Cloud, made: Machine, image: bytes, link: str = "/nowhere", **wanted: str) -> None:
    """All of it; `link` is the socket of who speaks to the controller, and `wanted` more of the server."""
    with running(ramdisk.run, made, ramdisk_settings(world, link)):
        node = wait_for_node(world)
        server = order(world, image, **wanted)
        powered(made, "reboot")
    script = requests.get(f"{world.url}/boot/ipxe", params={"mac": MAC}, timeout=5).text
    assert "boots its local disk" in script
    assert world.call("GET", f"/v1/servers/{server}")["status"] == "BUILD"
    boot_into_disk(made, "boot-2")
    with running(service.run, made, Settings(poll_s=0.5, link_socket=Path(link))):
        active = world.until(f"/v1/servers/{server}", "status", "ACTIVE")
        assert str(made.links["eno1"].addresses[0]) == "192.168.1.2/24"
        world.call("DELETE", f"/v1/servers/{server}")
        powered(made, "reboot")
    assert active["boot_proof"] == "agent"
    made.tree.put("/proc/sys/kernel/random/boot_id", b"boot-3\n")
    made.record.udev["sda2"].pop("ID_FS_LABEL")  # the ramdisk has no such drive to read
    made.tree.drop("/run")
    with running(ramdisk.run, made, ramdisk_settings(world, link)):
        world.until(f"/v1/nodes/{node}", "state", "available")
    assert disk_of(made).durable.blank and disk_of(made, "/dev/sdb").durable.blank


def test_hardware_is_tested_by_order(tmp_path: Path) -> None:
    """The node's own agent does it in its ramdisk, and the controller has its verdicts; called off, it ends, and the
    node is as free as before."""
    made = machine(2048 * MIB)
    made.links["eno1"] = ENO1
    made.tree.put("/sys/class/net/eno1/device/vendor", b"0x8086\n")
    made.tree.put("/sys/class/net/eno1/address", f"{MAC}\n".encode())
    with cloud(tmp_path) as world, running(ramdisk.run, made, ramdisk_settings(world)):
        path = f"/v1/nodes/{wait_for_node(world)}/validations"
        told = over(world, world.call("POST", path, json={"tests": ["disk.health", "disk.surface"]}))
        assert told["status"] == "SUCCESS", told
        verdicts = world.call("GET", path)["validations"][0]["found"]["verdicts"]
        assert {(each["test"], each["state"]) for each in verdicts} >= {("disk.surface", "passed")}

        job = world.call("POST", path, json={"tests": ["network.neighbour"], "settings": {"seconds": 60}})["job_id"]
        world.until(f"/v1/jobs/{job}", "status", "RUNNING")
        assert world.call("POST", f"{path}/cancel")["error_code"] == "BMS.CANCELLED"
        again = over(world, world.call("POST", path, json={"tests": ["disk.surface"]}))
        assert again["status"] == "SUCCESS", "the one before has ended"


def over(world: Cloud, ordered: Any) -> Any:
    """The job, once it is."""
    for _ in range(1200):
        job = world.call("GET", f"/v1/jobs/{ordered['job_id']}")
        if job["end_time"] is not None:
            return job
        Event().wait(0.05)
    raise AssertionError(job)


def wait_for_node(world: Cloud) -> str:
    """The node's id, once there is one."""
    for _ in range(600):
        if nodes := world.call("GET", "/v1/nodes"):
            world.until(f"/v1/nodes/{nodes[0]['id']}", "state", "available")
            return str(nodes[0]["id"])
        Event().wait(0.05)
    raise AssertionError("no node was enrolled")


def order(world: Cloud, image: bytes, **wanted: str) -> str:
    """Everything that a server is made of, and the server; its id."""
    world.call("POST", "/v1/flavors", json={"name": "small"})
    told = {"name": "debian", "format": "raw", "sha256": hashlib.sha256(image).hexdigest(), "agent": "true"}
    world.call("POST", "/v1/images/upload", params=told, data=image)
    world.call("POST", "/v1/vpcs", json={"name": "main", "cidr": "192.168.0.0/16"})
    world.call("POST", "/v1/subnets", json={"name": "front", "vpc": "main", "cidr": "192.168.1.0/24"})
    body = {"name": "web1", "flavor": "small", "image": "debian", "nics": [{"subnet": "front"}], **wanted}
    return str(world.call("POST", "/v1/servers", json=body)["server_id"])
