# SPDX-License-Identifier: Apache-2.0
"""The lab's network: a namespace with one bridge, the taps of the machines, and dnsmasq for DHCP and TFTP.

Everything of a lab runs inside the namespace, so no address or port of the host is used and several labs can run
at once. The bridge holds two addresses: the provisioning network's, where the controller listens, and the gateway of
the tenant subnet, through which a deployed server reaches the controller.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from pyroute2 import netns

from lab.command import run

BRIDGE = "provision"
CONTROLLER_ADDRESS = "192.168.100.1"
CONTROLLER_URL = f"http://{CONTROLLER_ADDRESS}:8480"
DHCP_RANGE = "192.168.100.100,192.168.100.199,1h"
IPV6_ADDRESS = "fd62:6d73::1"  # "bms": a prefix of RFC 4193
ROUTER_ADVERTISEMENTS = f"::,constructor:{BRIDGE},ra-only,64"
TENANT_CIDR = "192.168.1.0/24"
TENANT_GATEWAY = "192.168.1.1"
IPXE_FOLDER = Path("/usr/lib/ipxe")
END_TIMEOUT_S = 10


def setup_commands(namespace: str) -> list[list[str]]:
    """The commands that make the namespace and its bridge, in order."""
    inside = ["ip", "-n", namespace]
    return [
        ["ip", "netns", "add", namespace],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "link", "add", BRIDGE, "type", "bridge"],
        [*inside, "address", "add", f"{CONTROLLER_ADDRESS}/24", "dev", BRIDGE],
        [*inside, "address", "add", f"{TENANT_GATEWAY}/24", "dev", BRIDGE],
        [*inside, "address", "add", f"{IPV6_ADDRESS}/64", "dev", BRIDGE, "nodad"],
        [*inside, "link", "set", BRIDGE, "up"],
    ]


def dnsmasq_argv(boot_script: str) -> list[str]:
    """DHCP and TFTP: firmware is given iPXE, and iPXE (it sends option 175) the address of the controller's script."""
    return [
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--log-facility=-", "--log-dhcp",
        "--port=0", f"--interface={BRIDGE}", "--bind-interfaces", "--leasefile-ro", "--no-ping", "--dhcp-authoritative",
        f"--dhcp-range={DHCP_RANGE}",
        "--dhcp-match=set:ipxe,175", f"--dhcp-boot=tag:ipxe,{boot_script}",
        "--dhcp-match=set:uefi,option:client-arch,7", "--dhcp-boot=tag:!ipxe,tag:uefi,snponly.efi",
        "--dhcp-match=set:bios,option:client-arch,0", "--dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe",
        "--enable-tftp", f"--tftp-root={IPXE_FOLDER}",
        *_impatience_argv(),
    ]  # fmt: skip


def _impatience_argv() -> list[str]:
    """Quick answers to what nobody here needs, because firmware waits a minute for each that stays unanswered.

    iPXE looks for a proxy DHCP server (175.176 says that there is none) and for an IPv6 router: 16 s a boot. OVMF tries
    HTTP boot between PXE and the disk: 60 s; led to a port where nobody listens, it is refused at once.
    """
    return [
        "--dhcp-option=tag:ipxe,encap:175,176,1b",
        "--enable-ra", f"--dhcp-range={ROUTER_ADVERTISEMENTS}",
        "--dhcp-vendorclass=set:http,HTTPClient", "--dhcp-option-force=tag:http,60,HTTPClient",
        f"--dhcp-boot=tag:http,http://{CONTROLLER_ADDRESS}:9/nothing",
    ]  # fmt: skip


class Network:
    """One lab's namespace, by name. It holds nothing in memory: a later process can remove what an earlier one made."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    def create(self) -> None:
        for argv in setup_commands(self.namespace):
            run(argv)

    def add_tap(self, tap: str) -> None:
        """A port of the bridge for one machine."""
        inside = ["ip", "-n", self.namespace]
        run([*inside, "tuntap", "add", tap, "mode", "tap"])
        run([*inside, "link", "set", tap, "master", BRIDGE, "up"])

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the calling thread, and what it starts, into the namespace."""
        netns.pushns(self.namespace)
        try:
            yield
        finally:
            netns.popns()

    def exists(self) -> bool:
        return Path("/run/netns", self.namespace).exists()

    def processes(self) -> list[psutil.Process]:
        """Whoever lives in the namespace, the asking process excepted: the kernel knows, nothing need be recorded."""
        found = []
        for pid in map(int, run(["ip", "netns", "pids", self.namespace]).split()):
            with suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid))
        return [process for process in found if process.pid != os.getpid()]

    def remove(self) -> None:
        """End every process of the namespace, then the namespace itself. Once removed, removing again does nothing."""
        if not self.exists():
            return
        living = self.processes()
        for process in living:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(living, timeout=END_TIMEOUT_S)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=END_TIMEOUT_S)
        run(["ip", "netns", "delete", self.namespace])
