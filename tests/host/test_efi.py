# SPDX-License-Identifier: Apache-2.0
"""The door to the firmware's variables, over files as efivarfs has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import DeviceError, HostError
from agent.host.efi import GLOBAL, VARIABLES, RealEfi
from agent.host.files import RealFiles

OTHER = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


def variables(root: Path) -> Path:
    """Where they lie."""
    place = root / VARIABLES.lstrip("/")
    place.mkdir(parents=True)
    return place


def test_variables(tmp_path: Path) -> None:
    """Names without their namespace, contents without their attributes; what is written has both."""
    place = variables(tmp_path)
    (place / f"Boot0001-{GLOBAL}").write_bytes(b"\7\0\0\0old")
    (place / f"Boot0001-{OTHER}").write_bytes(b"\7\0\0\0loader's")
    door = RealEfi(RealFiles(str(tmp_path)))
    node = (place / f"Boot0001-{GLOBAL}").stat().st_ino
    door.write("Boot0001", b"new")
    door.write("BootOrder", b"\1\0")

    assert door.is_there() and door.names() == ("Boot0001", "BootOrder")
    assert (door.read("Boot0001"), door.read("BootOrder")) == (b"new", b"\1\0")
    assert (place / f"BootOrder-{GLOBAL}").read_bytes() == b"\7\0\0\0\1\0"
    assert (place / f"Boot0001-{GLOBAL}").stat().st_ino == node
    door.remove("Boot0001")
    door.remove("Boot0001")
    assert door.names() == ("BootOrder",) and len(list(place.iterdir())) == 2


def test_no_variables(tmp_path: Path) -> None:
    """A BIOS has none; UEFI without efivarfs is an error, and not a machine without entries."""
    door = RealEfi(RealFiles(str(tmp_path)))
    assert not door.is_there() and door.names() == ()
    with pytest.raises(HostError, match=r"reading .*Boot0001"):
        door.read("Boot0001")
    with pytest.raises(HostError, match="writing the firmware's variable Boot0001"):
        door.write("Boot0001", b"x")
    variables(tmp_path)
    with pytest.raises(DeviceError, match="efivarfs is not mounted"):
        door.names()
