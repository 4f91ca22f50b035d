# SPDX-License-Identifier: Apache-2.0
"""What Ironic is given to make discs of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.loader import esp_image, mkisofs

pytestmark = pytest.mark.commands


def test_the_system_partition_has_a_loader(tmp_path: Path) -> None:
    """Under the name by which firmware looks for one; it is a program of EFI's."""
    argv = ["mtype", "-i", str(esp_image(tmp_path)), "::/EFI/BOOT/BOOTX64.EFI"]
    loader = subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout

    assert loader[:2] == b"MZ"
    assert b"search --no-floppy --file --set=root /EFI/BOOT/grub.cfg" in loader


def test_a_command_called_mkisofs(tmp_path: Path) -> None:
    """It takes the arguments of Ironic's (ironic/common/images.py, create_esp_image_for_uefi)."""
    (tmp_path / "esp").write_bytes(bytes(4096))
    argv = [str(mkisofs(tmp_path / "bin") / "mkisofs"), "-r", "-V", "config-2", "-l", "-publisher", "x", "-e", "esp"]
    disc = tmp_path / "disc.iso"
    (tree := tmp_path / "tree").mkdir()
    (tmp_path / "esp").rename(tree / "esp")
    subprocess.run([*argv, "-no-emul-boot", "-o", str(disc), str(tree)], check=True, capture_output=True, timeout=60)

    assert b"EL TORITO SPECIFICATION" in disc.read_bytes()[17 * 2048 :][:2048]
