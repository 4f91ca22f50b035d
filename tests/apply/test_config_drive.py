# SPDX-License-Identifier: Apache-2.0
"""Placing the config drive: it is on the medium, and its secrets are nowhere else."""

from __future__ import annotations

from itertools import chain

import pytest

from agent.apply.config_drive import directories, mkfs_argv, place_config_drive, volume_id
from agent.errors import CommandFailed, NotAsObserved, ToolMissing
from agent.host.fake import FakeHost, failing
from agent.model.config_drive import ConfigDrive
from agent.model.disk import DiskIdentity
from agent.model.plan import PlaceConfigDrive
from tests.apply.disks import MIB, ForgetfulDisk, disk_of, machine

SIZE = 96 * MIB
FILES = {"openstack/latest/meta_data.json": '{"password": "hunter2"}', "bms-agent/service.json": "{}"}
DRIVE = ConfigDrive.holding(FILES)
STEP = PlaceConfigDrive(
    disk=DiskIdentity(path="/dev/sda", wwn=None, serial="S0", size_bytes=SIZE, logical_sector_bytes=4096),
    offset_bytes=31 * MIB,
    size_bytes=64 * MIB,
    label="config-2",
    drive=DRIVE,
)


def placed(host: FakeHost) -> None:
    """Place it."""
    place_config_drive(host, STEP, lambda *_: None)


def test_argv() -> None:
    """The filesystem has the disk's sectors, the label, and an id that follows from the content alone."""
    other = ConfigDrive.holding(FILES | {"x": "y"})

    assert mkfs_argv("/f", "config-2", 0xAB, 4096) == [
        "mkfs.vfat", "--invariant", "-S", "4096", "-n", "config-2", "-i", "000000ab", "/f"
    ]  # fmt: skip
    assert volume_id(DRIVE) == volume_id(DRIVE.model_copy()) != volume_id(other)
    assert directories(DRIVE) == ["bms-agent", "openstack", "openstack/latest"]


def test_secrets_are_on_the_drive_alone() -> None:
    """No argument of a command, and no file that stays, holds a secret."""
    made = machine(SIZE)
    placed(FakeHost.of(made))

    assert b"hunter2" in disk_of(made).durable.read(STEP.offset_bytes, MIB)
    assert "hunter2" not in " ".join(chain.from_iterable(made.commands))
    assert not [path for path, entry in made.tree.entries.items() if isinstance(entry, bytes) and b"hunter2" in entry]


def test_disk_that_forgets() -> None:
    """A drive that is not on the medium when it is read back is an error."""
    made = machine(SIZE)
    made.disks["/dev/sda"] = ForgetfulDisk(SIZE)
    with pytest.raises(NotAsObserved, match="what was read back at byte 32505856"):
        placed(FakeHost.of(made))


@pytest.mark.parametrize("tool", ["mkfs.vfat", "mmd", "mcopy"])
def test_tool_that_fails(tool: str) -> None:
    """A tool that fails or is missing is told by name; the disk is untouched and the image is gone."""
    for broken in (True, False):
        made = machine(SIZE)
        if broken:
            made.programs[tool] = failing(1, "disk full")
        else:
            del made.programs[tool]
        with pytest.raises(CommandFailed if broken else ToolMissing, match=tool):
            placed(FakeHost.of(made))

        assert not FakeHost.of(made).files.names("/run/bms-agent")
        assert disk_of(made).content.blank
