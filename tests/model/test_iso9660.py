# SPDX-License-Identifier: Apache-2.0
"""ISO 9660 as xorriso writes it with the arguments of Ironic's, and as nobody does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from agent.errors import DecodeError
from agent.model.filesystem import Read
from agent.model.filesystem.iso9660 import SECTOR_BYTES, Iso

pytestmark = pytest.mark.commands

LONG = "a-name-that-is-longer-than-any-record-" * 6
FILES = {
    "etc/ironic-python-agent.d/ironic-tls.conf": b"[DEFAULT]\n",
    "openstack/latest/network_data.json": b"{}" * 3000,
    f"{LONG}.txt": b"long",
    "empty": b"",
}


def made(folder: Path, *options: str) -> bytes:
    """A disc with these files, and more of them than fit into one sector of a directory."""
    for path, content in (FILES | {f"many/{number:03}-{'x' * 40}": b"%d" % number for number in range(100)}).items():
        file = folder / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    disc = folder / "disc.iso"
    label = ["-V", "config-2", "-publisher", "3f9a7c0e-0000-4000-8000-000000000001"]
    argv = ["xorriso", "-as", "mkisofs", *label, *options, "-o", str(disc), str(folder / "tree")]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return disc.read_bytes()


def reading(disc: bytes) -> Read:
    """As a drive gives it."""
    return lambda offset, length: disc[offset : offset + length]


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """As Ironic makes it for UEFI."""
    return made(tmp_path_factory.mktemp("iso"), "-r", "-l")


def test_a_disc_of_ironics(disc: bytes) -> None:
    """Its label and publisher, and every file by its own name, however long, in whatever case it is asked for."""
    iso = Iso(reading(disc), len(disc))

    assert (iso.label, iso.publisher.lower()) == ("config-2", "3f9a7c0e-0000-4000-8000-000000000001")
    assert {path: iso.content(f"/{path}", 1 << 20) for path in FILES} == FILES
    assert iso.content("/OpenStack/Latest/NETWORK_DATA.json", 1 << 20) == FILES["openstack/latest/network_data.json"]
    assert set(iso.names("/")) == {"etc", "openstack", "empty", "many", f"{LONG}.txt"}
    assert [iso.content(f"/many/{name}", 9) for name in iso.names("/many")] == [b"%d" % one for one in range(100)]


def test_without_rock_ridge(tmp_path: Path) -> None:
    """Then a name is what the standard made of it."""
    iso = Iso(reading(raw := made(tmp_path, "--norock", "-iso-level", "3")), len(raw))

    assert "empty" in iso.names("/")
    assert iso.content("/empty", 10) == b""


def test_what_is_not_there(disc: bytes) -> None:
    """No file, a directory in its place, a file behind a file; and one that is larger than it may be is an error."""
    iso = Iso(reading(disc), len(disc))

    assert [iso.content(path, 10) for path in ("/none", "/etc", "/empty/more", "/")] == [None] * 4
    assert iso.names("/none") == iso.names("/empty") == ()
    with pytest.raises(DecodeError, match="more than 10 bytes"):
        iso.content("/openstack/latest/network_data.json", 10)


@pytest.mark.parametrize("size", [0, 16 * SECTOR_BYTES, 17 * SECTOR_BYTES, 64 * SECTOR_BYTES])
def test_what_is_none(size: int) -> None:
    """Zeroes are no filesystem, however many."""
    with pytest.raises(DecodeError):
        Iso(reading(bytes(size)), size)
