# SPDX-License-Identifier: Apache-2.0
"""What only an inspection asks for: PCI functions, USB devices, NUMA nodes, link-local addresses."""

from __future__ import annotations

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DecodeError, HostError
from agent.host.fake import FakeHost, LinkTo
from agent.inventory import take
from agent.inventory.devices import PciWords, pci_devices, pci_words, usb_devices
from agent.inventory.folder import Folder
from agent.inventory.network.link_local import link_locals
from agent.inventory.numa import numa_topology, numbers_in
from agent.model.devices import NumaNic, NumaNode, PciDevice, UsbDevice
from tests.link import equipped
from tests.machines import synthetic


def test_pci() -> None:
    """Every function with its numbers; node 0 is a node, and no revision is none."""
    found = {one.address: one for one in pci_devices(equipped.host().files)}

    assert found["0000:19:00.0"] == PciDevice(
        address="0000:19:00.0", vendor="8086", product="1572", device_class="020000", revision="01", numa_node=0
    )
    assert (found["0000:b1:00.1"].revision, found["0000:b1:00.1"].numa_node) == (None, 1)


@pytest.mark.parametrize(
    ("uevent", "expected"),
    [
        (
            "DRIVER=i40e\nPCI_CLASS=20000\nPCI_ID=8086:1572\nPCI_SUBSYS_ID=8086:000B\nPCI_SLOT_NAME=0000:19:00.0\n",
            PciWords("8086", "1572", "020000", "8086:000b", "i40e"),
        ),
        (
            "PCI_CLASS=60400\nPCI_ID=8086:A330\nPCI_SUBSYS_ID=0000:0000\n",
            PciWords("8086", "a330", "060400", None, None),
        ),
    ],
)
def test_pci_in_one_file(uevent: str, expected: PciWords) -> None:
    """What the kernel says to udev is what its other files say; who sold a bridge is not told."""
    words = [uevent, "DRIVER=broken\n"]
    files = {
        "vendor": expected.vendor,
        "device": expected.product,
        "class": expected.device_class,
        "subsystem_vendor": (expected.subsystem or "0000:0000").split(":")[0],
        "subsystem_device": (expected.subsystem or "0000:0000").split(":")[1],
    }
    tree: dict[str, str | LinkTo] = {f"/p/{name}": f"0x{number}\n" for name, number in files.items()}
    if expected.driver:
        tree["/p/driver"] = LinkTo(f"/sys/bus/pci/drivers/{expected.driver}")
    for each in words:
        assert pci_words(Folder(FakeHost.with_files(tree | {"/p/uevent": each}).files, "/p")) == expected
    assert pci_words(Folder(FakeHost.with_files(tree).files, "/p")) == expected


def test_pci_that_cannot_be_read() -> None:
    """A file that says no number raises: a list with a device less would be taken for the truth."""
    host = equipped.host()
    host.machine.tree.put(host.machine.tree.resolve("/sys/bus/pci/devices/0000:19:00.0/class"), b"network\n")
    with pytest.raises(DecodeError):
        pci_devices(host.files)


def test_usb() -> None:
    """Every device but hubs and the parts of devices; one that has no name has its numbers."""
    assert usb_devices(equipped.host().files) == (
        UsbDevice(bus=1, number=2, vendor="Avocent", product="Keyboard"),
        UsbDevice(bus=1, number=3, vendor="0930", product="6545"),
    )


def test_numa() -> None:
    """Memory by node, threads by core; cores have the same numbers in each socket and are still apart; NICs by bus."""
    found = numa_topology(equipped.host().files)

    assert found is not None
    assert found.nodes == (NumaNode(number=0, memory_kib=263000000), NumaNode(number=1, memory_kib=263100000))
    assert [(one.node, one.number, one.threads) for one in found.cores] == [
        (0, 0, (0, 1)),
        (0, 1, (2, 3)),
        (1, 0, (4, 5)),
        (1, 1, (6, 7)),
    ]
    assert NumaNic(name="ens1f0np0", node=1) in found.nics


def test_two_sockets_of_one_node() -> None:
    """Core 0 of one socket is not core 0 of another, though firmware puts both into one node."""
    at = "/sys/devices/system"
    files = {f"{at}/node/node0/cpulist": "0-1\n", f"{at}/node/node0/meminfo": "Node 0 MemTotal:  1000 kB\n"}
    for cpu in (0, 1):
        files[f"{at}/cpu/cpu{cpu}/topology/physical_package_id"] = f"{cpu}\n"
        files[f"{at}/cpu/cpu{cpu}/topology/core_id"] = "0\n"
    found = numa_topology(FakeHost.with_files(files).files)

    assert found is not None and [one.threads for one in found.cores] == [(0,), (1,)]


def test_a_kernel_without_numa() -> None:
    """No nodes is not an error; a node that cannot be read is."""
    assert numa_topology(FakeHost.with_files({"/proc/version": "x"}).files) is None
    with pytest.raises(HostError):
        numa_topology(FakeHost.with_files({"/sys/devices/system/node/node0/cpulist": "0\n"}).files)


@given(st.sets(st.integers(0, 300)))
def test_lists_of_processors(numbers: set[int]) -> None:
    """Numbers and ranges, in any mix, are read as they were meant."""
    text = ",".join(str(number) if number % 3 else f"{number}-{number}" for number in sorted(numbers))

    assert numbers_in("x", f"{text}\n") == sorted(numbers)


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1-2-3", "0-3;4"])
def test_lists_that_are_none(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(DecodeError):
        numbers_in("x", text)


def test_link_local() -> None:
    """The first link-local address of each link, and no other address."""
    table = (
        "fe80000000000000505400fffeb00001 02 40 20 80     eth0\n"
        "fe80000000000000505400fffeb00002 02 40 20 80     eth0\n"
        "20010db8000000000000000000000001 03 40 00 80     eth1\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
    )
    found = link_locals(FakeHost.with_files({"/proc/net/if_inet6": table}).files)

    assert found == {"eth0": IPv6Address("fe80::5054:ff:feb0:1")}
    assert link_locals(FakeHost.with_files({"/proc/version": "x"}).files) == {}


def test_an_inventory_takes_none_of_it() -> None:
    """Whoever takes an inventory does not wait for a BMC, nor read a file a processor."""
    host = FakeHost.of(synthetic.dell_r650())
    host.machine.tree.put("/sys/bus/usb/devices/1-1", LinkTo("/sys/devices/usb1"))
    host.machine.bmc = {}
    take(host)

    assert not [call for call in host.faults.calls if "ipmi" in call or "lldp" in call or "core_id" in call]
    assert not [call for call in host.faults.calls if "/sys/bus/usb" in call]
