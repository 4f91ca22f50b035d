# SPDX-License-Identifier: Apache-2.0
"""Made-up hardware for the tests of pure code: a small machine, and words to vary it."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_interface

from agent.model.config_drive import ConfigDrive
from agent.model.disk import Content, Disk, RootDeviceHints
from agent.model.image import ImageFormat, ImageRef
from agent.model.inventory import Inventory
from agent.model.network import DEFAULT_V4, Dns, Ethernet, LinkState, NetworkConfig, Nic, Route
from agent.model.request import DeployRequest
from agent.model.system import Cpu, Memory, System

GIB = 1024**3
MAC = "52:54:00:00:00:01"
SSD = Disk(
    name="sda",
    path="/dev/sda",
    size_bytes=480 * 10**9,
    vendor="ATA",
    model="SAMSUNG MZ7",
    serial="S1",
    wwn="0x5002538f00000001",
    transport="sata",
    rotational=False,
    physical_sector_bytes=4096,
)
HDD = Disk(
    name="sdb",
    path="/dev/sdb",
    size_bytes=4000 * 10**9,
    vendor="SEAGATE",
    model="ST4000",
    serial="H1",
    wwn="0x5000c50000000001",
    transport="sas",
    rotational=True,
)
NVME = Disk(
    name="nvme0n1",
    path="/dev/nvme0n1",
    size_bytes=960 * 10**9,
    model="PM9A3",
    serial="N1",
    wwn="eui.0025385b00000001",
    transport="nvme",
    rotational=False,
)
FULL = Disk.model_validate(
    SSD.model_dump()
    | {"contents": (Content(node="/dev/sda", kind="gpt"), Content(node="/dev/sda1", kind="ext4", label="root"))}
)
NIC = Nic(name="eno1", mac=MAC, current_mac=MAC, up=True, carrier=True)
IMAGE = ImageRef(
    url="http://images.example/debian.raw.zst", format=ImageFormat.RAW_ZST, sha256="ab" * 32, size_bytes=2 * GIB
)
DRIVE = ConfigDrive.holding({"openstack/latest/meta_data.json": '{"password": "hunter2"}'})


def machine(*disks: Disk) -> Inventory:
    """A machine with these disks."""
    return Inventory(
        system=System(vendor="Example"),
        cpu=Cpu(architecture="x86_64", threads=8),
        memory=Memory(total_bytes=16 * GIB),
        disks=disks,
        nics=(NIC,),
    )


def deploy(
    *,
    overwrite: bool = False,
    image: ImageRef = IMAGE,
    drive: ConfigDrive | None = DRIVE,
    request_id: str = "r1",
    node_id: str = "node-1",
    **hints: str | bool,
) -> DeployRequest:
    """A request to deploy to the disk with these hints."""
    return DeployRequest(
        request_id=request_id,
        node_id=node_id,
        image=image,
        config_drive=drive,
        root_device=RootDeviceHints.model_validate(hints),
        overwrite=overwrite,
    )


NETWORKD = {"/etc/systemd/system/multi-user.target.wants/systemd-networkd.service": ""}
"""The file by which a system brings its network up with systemd-networkd."""


def static(
    address: str = "192.168.1.10/24",
    gateway: str | None = "192.168.1.1",
    mac: str = MAC,
    dns: tuple[str, ...] = (),
    mtu: int | None = None,
) -> NetworkConfig:
    """A NIC with a static address."""
    routes = (Route(destination=DEFAULT_V4, link="nic0", gateway=IPv4Address(gateway)),) if gateway else ()
    return NetworkConfig(
        links=(Ethernet(name="nic0", mac=mac, addresses=(ip_interface(address),), mtu=mtu),),
        routes=routes,
        dns=Dns(servers=tuple(IPv4Address(one) for one in dns)),
    )


def link(name: str = "eno1", *addresses: str, mac: str = MAC, up: bool = False, index: int = 2) -> LinkState:
    """A NIC as netlink tells it."""
    interfaces = tuple(ip_interface(one) for one in addresses)
    return LinkState(
        name=name,
        index=index,
        kind="ethernet",
        mac=mac,
        permanent_mac=mac,
        carrier=True,
        up=up,
        mtu=1500,
        addresses=interfaces,
        config=Ethernet(name=name, mac=mac, mtu=1500, up=up, addresses=interfaces),
    )
