# SPDX-License-Identifier: Apache-2.0
"""Partition images as Ironic orders them, the calls that follow, and what is answered with a clear no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.api.ironic.translate import layout
from agent.errors import InputError
from agent.host.fake import FakeHost, Machine
from agent.model.disk import MIB
from agent.model.layout import Layout
from tests.api.ironic.asked import node, write_image
from tests.api.ironic.served import Agent, serving
from tests.apply.disks import boots, disk_of, serve
from tests.apply.rooted import UUID, fake_ext4, fake_machine
from tests.efi import SmallFat

DISK_BYTES = 700 * MIB
ESP_AT = MIB
INFO: dict[str, Any] = {
    "image_type": "partition", "kernel": None, "ramdisk": None, "root_gb": 1, "root_mb": 32, "swap_mb": 4,
    "ephemeral_mb": 8, "ephemeral_format": "ext4", "preserve_ephemeral": False, "deploy_boot_mode": "uefi",
    "boot_option": "local", "disk_label": "gpt",
}  # fmt: skip
"""Beside what every image has; sizes are this test's."""


def ordered(made: Machine, **changes: Any) -> dict[str, Any]:
    """The step, for a node with a partition image."""
    params = write_image(serve(made, fake_ext4()))
    params["node"] = node(driver_internal_info={"is_whole_disk_image": False})
    params["step"]["args"]["image_info"] |= {**INFO, **changes}
    return params


def done(agent: Agent, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """A command, when it has ended."""
    return agent.ended(agent.post(name, params)["id"])


def test_a_partition_image(tmp_path: Path) -> None:
    """It is written; what Ironic asks for then is known of the disk, and the firmware's entry leads to its loader."""
    made = fake_machine(DISK_BYTES)
    with serving(FakeHost.of(made), tmp_path) as agent:
        before = agent.post("standby.get_partition_uuids", wait=True)
        ended = done(agent, "deploy.execute_deploy_step", ordered(made))
        disk_of(made).write(ESP_AT, SmallFat({"/EFI/BOOT/BOOTX64.EFI": b"MZ"}).image)  # the fake mkfs makes none
        uuids = agent.post("standby.get_partition_uuids", wait=True)["command_result"]
        esp = {"efi_system_part_uuid": uuids["efi system partition uuid"], "root_uuid": uuids["root uuid"]}
        loader = done(agent, "image.install_bootloader", {**esp, "target_boot_mode": "uefi"})

    assert before["command_result"] == {"root uuid": "0x00000000"}
    assert ended["command_status"] == "SUCCEEDED", ended["command_error"]
    assert boots(disk_of(made))
    assert (uuids["root uuid"], uuids["efi system partition uuid"]) == (UUID, "12AB-34CD")
    assert uuids["partitions"] == {
        "efi system partition": "/dev/sda1", "ephemeral": "/dev/sda2", "swap": "/dev/sda3", "configdrive": "/dev/sda4",
        "root": "/dev/sda5",
    }  # fmt: skip
    assert loader["command_status"] == "SUCCEEDED", loader["command_error"]
    assert made.variables is not None and "Boot0000" in made.variables


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"deploy_boot_mode": "bios"}, "nothing of an image is run here"),
        ({"boot_option": "netboot"}, "boot_option 'netboot'"),
        ({"root_mb": None}, "root_mib"),
        ({"root_mb": "much"}, "root_mib"),
        ({"ephemeral_format": "ntfs"}, "ephemeral_format"),
        ({"preserve_ephemeral": "perhaps"}, "neither true nor false"),
        ({"preserve_ephemeral": "True"}, "preserving the ephemeral partition"),
        ({"root_mb": 10**6}, "they need"),
    ],
)
def test_what_is_not_written(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    """The step fails with the reason before a byte of the disk is changed."""
    made = fake_machine(DISK_BYTES)
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", ordered(made, **changes))

    assert ended["command_status"] == "FAILED"
    assert told in ended["command_error"]["details"]
    assert disk_of(made).content.blank


def test_how_ironic_s_words_are_read() -> None:
    """Numbers may be texts; truth is spelled in many ways, never guessed; without a type it is a whole disk (T27)."""
    assert layout({"image_type": "whole-disk"}) is None and layout({}) is None
    assert layout(INFO) == Layout(root_mib=32, swap_mib=4, ephemeral_mib=8)
    kept = [layout({**INFO, "preserve_ephemeral": word, "ephemeral_mb": "8"}) for word in (True, "true", "YES", "1")]
    assert all(one is not None and one.preserve_ephemeral for one in kept)
    for none in (0, "0", None):
        found = layout({**INFO, "preserve_ephemeral": True, "ephemeral_mb": none})
        assert found is not None and not found.preserve_ephemeral and found.ephemeral_mib == 0
    with pytest.raises(InputError):
        layout({**INFO, "preserve_ephemeral": 2})


def test_bootc(tmp_path: Path) -> None:
    """A step that would run the image's own program is refused with the reason and a way out, and does no harm."""
    made = fake_machine(DISK_BYTES)
    params = ordered(made)
    params["step"] = {
        "interface": "deploy",
        "step": "execute_bootc_install",
        "args": {"image_source": "oci://registry.example/os:latest", "configdrive": None, "oci_pull_secret": None},
    }
    with serving(FakeHost.of(made), tmp_path) as agent:
        ended = done(agent, "deploy.execute_deploy_step", params)
        listed = agent.listed()
        offered = agent.post("deploy.get_deploy_steps", {"node": node(), "ports": []}, wait=True)["command_result"]

    details = ended["command_error"]["details"]
    assert ended["command_status"] == "FAILED" and "execute_bootc_install: not supported" in details
    assert "bootc-image-builder" in details
    assert [one["command_status"] for one in listed] == ["FAILED"]
    assert "execute_bootc_install" not in str(offered)
    assert disk_of(made).content.blank
