# SPDX-License-Identifier: Apache-2.0
"""A machine whose disk has a volatile cache, and a controller that has it work: all real but the cable to the disk.

The machine boots the ramdisk's kernel with the command line that the controller's boot script has for it, as iPXE
would. Its power is cut as SIGKILL does it, and its disk's cache goes with it. Nothing here knows what must come of it.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

from lab.daemon import Daemon, wait_until
from tests.machine.guest import HOST, Guest, booted
from tests.machine.test_rescue import free_port
from tests.vm.nbd import DiskServer, serving_disk
from tests.vm.tap import Tap, tapped

MAC = "52:54:00:12:34:56"
"""Of QEMU's first NIC."""
NAME = "VM1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f someone@example"
ANSWER_S = 60
WAIT_S = 900.0
POLL_S = 1.0


class Rack:
    """The machine and its controller."""

    def __init__(self, folder: Path, ramdisk: Path, disk: DiskServer, controller: Daemon, url: str, tap: Tap) -> None:
        self._folder = folder
        self._ramdisk = ramdisk
        self.disk = disk
        self.controller = controller
        self._url = url
        self.tap = tap
        self._boots = 0

    @property
    def _token(self) -> str:
        return (self._folder / "data" / "admin-token").read_text().strip()

    def is_ready(self) -> bool:
        """Whether the controller answers."""
        try:
            with urllib.request.urlopen(f"{self._url}/healthz", timeout=ANSWER_S) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """The controller, as its operator."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return json.loads(answer.read())

    @contextmanager
    def machine(self) -> Iterator[Guest]:
        """It is switched on, and its power goes at the end of the block, unless it has switched itself off."""
        self._boots += 1
        with urllib.request.urlopen(f"{self._url}/boot/ipxe?mac={MAC}", timeout=ANSWER_S) as answer:
            found = re.search(r"^kernel \S+ initrd=initrd (.*) \|\| goto again$", answer.read().decode(), re.MULTILINE)
        assert found, "the controller does not boot it into the ramdisk"
        words = ["-kernel", str(self._ramdisk / "vmlinuz"), "-initrd", str(self._ramdisk / "initrd"),
                 "-append", found[1], *self.disk.words(NAME, "virtio-blk-pci")]  # fmt: skip
        dummy = self._folder / "nothing"
        dummy.write_bytes(bytes(1 << 20))
        with booted(self._folder / f"boot-{self._boots}", dummy, *words) as guest:
            yield guest

    def cut_power(self, lot: Random) -> int:
        """After the machine is off: of what the disk had not flushed, how many writes, and the lot has them."""
        lost = self.disk.disk.cut_power(lot)
        self.disk.power_back()
        return lost

    def node(self) -> Any:
        """The one, once it is there."""
        wait_until("the node to enrol", lambda: bool(self.ask("/v1/nodes")), WAIT_S, POLL_S)
        return self.ask(f"/v1/nodes/{self.ask('/v1/nodes')[0]['id']}")

    def wait_for_node(self, state: str) -> None:
        """Until it is that."""
        wait_until(f"the node to be {state}", lambda: self.node()["state"] == state, WAIT_S, POLL_S)

    def clean(self) -> str:
        """Order that every byte is erased; the job's id."""
        return str(self.ask(f"/v1/nodes/{self.node()['id']}/clean", {}, "POST")["job_id"])

    def create(self, url: str, sha256: str) -> str:
        """Order a server of the raw image there, on the disk; the job's id."""
        self.ask("/v1/flavors", {"name": "small", "cores": 1, "ram_mb": 512})
        self.ask("/v1/images", {"name": "image", "format": "raw", "url": url, "sha256": sha256, "agent": False})
        self.ask("/v1/vpcs", {"name": "cloud", "cidr": "10.0.0.0/8"})
        self.ask("/v1/subnets", {"name": "net", "vpc": "cloud", "cidr": "10.1.0.0/24"})
        self.ask("/v1/keypairs", {"name": "me", "public_key": KEY})
        order = {"name": "web", "flavor": "small", "image": "image", "nics": [{"subnet": "net"}], "key_name": "me"}
        return str(self.ask("/v1/servers", order | {"root_device": {"serial": NAME}})["job_id"])

    def job(self, job_id: str) -> Any:
        """As its user sees it."""
        return self.ask(f"/v1/jobs/{job_id}")

    def wait_for(self, what: str, happened: Callable[[], bool]) -> None:
        """Patiently: the machine is emulated."""
        wait_until(what, happened, WAIT_S, POLL_S / 4)

    def wait_for_end(self, job_id: str) -> Any:
        """The job, once it is over."""
        self.wait_for("the job to be over", lambda: self.job(job_id)["end_time"] is not None)
        return self.job(job_id)


@contextmanager
def rack(folder: Path, ramdisk: Path, size_bytes: int) -> Iterator[Rack]:
    """A machine that is off, with an empty disk, and a controller that takes in whoever boots from it."""
    port = free_port()
    with ExitStack() as stack:
        disk = stack.enter_context(serving_disk(size_bytes, folder / "nbd"))
        tap = stack.enter_context(tapped(port))
        argv = [sys.executable, "-m", "agent", "controller", "--listen", f"127.0.0.1:{port}", "--enrolment", "auto"]
        argv += ["--data", str(folder / "data"), "--ramdisk", str(ramdisk), "--url", f"http://{HOST}:{tap.port}"]
        argv += ["--kernel-options", "bms.shell"]
        controller = Daemon(argv, folder / "controller.log")
        made = Rack(folder, ramdisk, disk, controller, f"http://127.0.0.1:{port}", tap)
        stack.callback(controller.stop)
        controller.start()
        wait_until("the controller to serve", made.is_ready, WAIT_S)
        yield made
