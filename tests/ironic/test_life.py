# SPDX-License-Identifier: Apache-2.0
"""A server's whole life under real Ironic: deployed, rebuilt, rescued, serviced, given back."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from lab import artifacts
from lab.disk import is_bootable
from lab.machine import MachineSpec
from tests.ironic.chain import DISK_FIRST, Chain, running, step
from tests.ironic.image import Image

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

PASSWORD = "correct horse battery"
LOGIN_S = 300


def logged_in(address: str, password: str, order: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """By ssh, with a password, as a person would."""
    asked = folder / "askpass"
    asked.write_text(f"#!/bin/sh\necho {shlex.quote(password)}\n")
    asked.chmod(0o700)
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "NumberOfPasswordPrompts=1",
               "PreferredAuthentications=password", "ConnectTimeout=120"]  # fmt: skip
    argv = ["ssh", *(f"-o{option}" for option in options), f"rescue@{address}", order]
    env = os.environ | {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=LOGIN_S)


def test_raw_rebuild_rescue_service(ironic_home: Path, tmp_path: Path) -> None:
    """A raw image streamed, another in its place, an owner who gets in, an image as a service step, the end."""
    loader = artifacts.ramdisk() / "vmlinuz"
    first, second = Image(tmp_path, loader), Image(tmp_path, loader, seed=2)
    with running(ironic_home, tmp_path, MachineSpec()) as site:
        chain = Chain(site)
        chain.api.set(chain.node, automated_clean=False)
        chain.available()
        chain.want(first.raw)
        chain.go("active", "active")
        assert first.differences(chain.disk) == []

        chain.want(second.file)
        chain.go("rebuild", "active")
        assert second.differences(chain.disk) == []
        assert site.machine.boot_override == DISK_FIRST

        check_rescue(chain, tmp_path)
        assert second.differences(chain.disk) == []

        info = chain.image_info(first.file, "qcow2")
        steps = [step("write_image", image_info=info)]
        chain.go("service", "active", service_steps=steps)
        assert first.differences(chain.disk) == []
        assert site.machine.is_on and site.machine.boot_override == DISK_FIRST

        chain.api.set(chain.node, automated_clean=True)
        chain.go("deleted", "available")
        assert not is_bootable(chain.disk)


def check_rescue(chain: Chain, folder: Path) -> None:
    """The owner's password opens the ramdisk, another does not; afterwards the machine boots its disk again."""
    chain.go("rescue", "rescue", rescue_password=PASSWORD)
    right = logged_in(chain.address, PASSWORD, "id -u; ls -A /run/bms-agent/ironic", folder)
    wrong = logged_in(chain.address, "wrong", "true", folder)
    assert right.returncode == 0, right.stderr
    assert right.stdout.split()[0] == "0"
    assert "agent.pem" not in right.stdout and "order.json" not in right.stdout
    assert wrong.returncode == 255
    chain.go("unrescue", "active")
    assert chain.site.machine.boot_override == DISK_FIRST
