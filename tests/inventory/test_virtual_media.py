# SPDX-License-Identifier: Apache-2.0
"""What a BMC's drives say; and that nobody else's do."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.host.fake import FakeHost, Unreadable
from agent.inventory.virtual_media import LARGEST_FILE_BYTES, drives, read_media
from agent.model.virtual_media import VirtualMedia
from tests.media import CD, PUBLISHER, USB, disc, floppy, machine

pytestmark = pytest.mark.commands

NETWORK = '{"links": []}'
FILES = {
    "etc/ironic-python-agent/ironic.crt": "PEM",
    "etc/ironic-python-agent.d/ironic-tls.conf": "[DEFAULT]\n",
    "openstack/latest/network_data.json": NETWORK,
    "vmlinuz": "kernel",
}


def told(media: VirtualMedia) -> dict[str, str]:
    """The files with their texts."""
    return {path: text.get_secret_value() for path, text in media.files.items()}


def test_a_disc_and_a_floppy(tmp_path: Path) -> None:
    """Ironic's configuration and the network of the one, the words of the other; nothing else of them."""
    made = {
        "sr0": (CD, "ata1", disc(tmp_path, FILES)),
        "sda": (USB, "usb1/1-1", floppy(tmp_path, "ipa-api-url=http://a ipa-agent-token=t\n")),
    }
    media = read_media(FakeHost.of(machine(made)), PUBLISHER)

    assert told(media) == {f"/{path}": FILES[path] for path in FILES if path.startswith("etc/")}
    assert (media.has_disc, media.network_data) == (True, NETWORK)
    assert media.parameters is not None
    assert media.parameters.get_secret_value() == "ipa-api-url=http://a ipa-agent-token=t\n"


@pytest.mark.parametrize(("label", "publisher"), [("config-2", "another"), ("cidata", PUBLISHER)])
def test_somebody_elses_disc(tmp_path: Path, label: str, publisher: str) -> None:
    """Of another publisher, or another label."""
    content = disc(tmp_path, FILES, label, publisher)

    assert read_media(FakeHost.of(machine({"sr0": (CD, "ata1", content)})), PUBLISHER) == VirtualMedia()


def test_a_disc_that_was_made_beforehand(tmp_path: Path) -> None:
    """Where no publisher is named, the label says whose it is."""
    content = disc(tmp_path, FILES, "VMEDIA_BOOT_ISO", "")

    assert read_media(FakeHost.of(machine({"sr0": (CD, "ata1", content)})), None).has_disc


@pytest.mark.parametrize(
    ("name", "bus", "facts"),
    [
        ("sda", "ata2", USB),
        ("nvme0n1", "nvme", USB),
        ("vda", "virtio1", USB),
        ("sr0", "ata1", CD | {"device/type": "0"}),
    ],
)
def test_a_tenants_disk(tmp_path: Path, name: str, bus: str, facts: dict[str, str]) -> None:
    """A disk is no virtual media, whatever its filesystem is called and whoever published it."""
    for content in (disc(tmp_path, FILES), floppy(tmp_path, "ipa-api-url=http://evil")):
        host = FakeHost.of(machine({name: (facts, bus, content)}))

        assert drives(host.files) == ()
        assert read_media(host, PUBLISHER) == VirtualMedia()


def test_a_large_usb_disk(tmp_path: Path) -> None:
    """4 GiB and more is no floppy of a BMC's."""
    made = machine({"sda": (USB, "usb1/1-1", floppy(tmp_path, "x=y"))})
    made.tree.put(made.tree.resolve("/sys/block/sda/size"), str(4 << 30 >> 9).encode())

    assert drives(FakeHost.of(made).files) == ()


def test_another_floppy(tmp_path: Path) -> None:
    """Without the label the drive itself must say what it is."""
    content = floppy(tmp_path, "ipa-api-url=http://a", "stick")
    found = []
    for model in ("Virtual Media", "DataTraveler"):
        facts = USB | {"device/model": model}
        found.append(read_media(FakeHost.of(machine({"sda": (facts, "usb1/1-1", content)})), None).parameters)

    assert [one is not None for one in found] == [True, False]


def test_no_medium_and_damage(tmp_path: Path) -> None:
    """An empty drive is no drive; a disc that cannot be read has nothing to say."""
    damaged = bytearray(disc(tmp_path, FILES))
    damaged[16 * 2048 + 158 : 16 * 2048 + 162] = b"\xff\xff\xff\x7f"  # where the root directory is

    assert drives(FakeHost.of(machine({"sr0": (CD, "ata1", b"")})).files) == ()
    assert read_media(FakeHost.of(machine({"sr0": (CD, "ata1", bytes(damaged))})), PUBLISHER) == VirtualMedia()


def test_what_cannot_be_read_hides_nothing_else(tmp_path: Path) -> None:
    """A file that is too large, and a drive that goes while it is looked at."""
    large = {"etc/ironic-python-agent/large": "x" * (LARGEST_FILE_BYTES + 1)}
    made = machine({"sda": (USB, "usb1/1-1", b""), "sr0": (CD, "ata1", disc(tmp_path, FILES | large))})
    made.tree.put(made.tree.resolve("/sys/block/sda/size"), Unreadable("No such device"))
    media = read_media(FakeHost.of(made), PUBLISHER)

    assert told(media) == {f"/{path}": FILES[path] for path in FILES if path.startswith("etc/")}
    assert media.has_disc and media.network_data == NETWORK
