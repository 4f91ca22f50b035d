# SPDX-License-Identifier: Apache-2.0
"""What must fail does: Ironic says why, keeps the machine's logs, and the disk does not boot."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from lab import artifacts
from lab.disk import allocated_bytes, is_bootable
from lab.ironic import Ironic
from lab.machine import MachineSpec
from lab.site import Site
from tests.ironic.chain import STATE_S, Chain, running
from tests.ironic.image import Image

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]


def failed(chain: Chain, *told: str) -> None:
    """It did not deploy; the reason has these words; there are logs of this machine that tell of it."""
    before = set(archives(chain.site))
    chain.api.order(chain.node, "active")
    check_failure(chain, before, *told)


def check_failure(chain: Chain, before: set[Path], *told: str) -> None:
    """The same for a deployment that is under way."""
    reason = chain.api.wait(chain.node, "deploy failed", STATE_S, poll_s=1)["last_error"]
    assert all(word in reason for word in told), reason
    (archive,) = set(archives(chain.site)) - before
    with tarfile.open(archive) as logs:
        kept = {member.name: member for member in logs.getmembers()}
        journal = logs.extractfile(kept["journal"])
        assert journal is not None and b"command ended" in journal.read()
    assert not is_bootable(chain.disk)


def archives(site: Site[Ironic]) -> list[Path]:
    """What Ironic kept of the ramdisk's logs."""
    return list(site.controller.ramdisk_logs.glob("*.tar.gz"))


def test_deploys_that_fail(ironic_home: Path, tmp_path: Path) -> None:
    """A digest that is wrong, an image that goes away, hints that fit no disk: never ACTIVE; then a good one works."""
    image = Image(tmp_path, artifacts.ramdisk() / "vmlinuz")
    with running(ironic_home, tmp_path, MachineSpec()) as site:
        chain = Chain(site, automated_clean=False)
        chain.available()
        chain.want(image.file, image_os_hash_value="ab" * 32)
        failed(chain, "write_image", "ab" * 32)

        blank = allocated_bytes(chain.disk)
        chain.want(image.file)
        before = set(archives(site))
        chain.api.order(chain.node, "active")
        chain.api.wait(chain.node, "wait call-back", STATE_S)
        (site.controller.served / image.file.name).unlink()  # Ironic itself has seen it
        check_failure(chain, before, "write_image", "404")
        assert allocated_bytes(chain.disk) == blank

        chain.want(image.file, root_device={"serial": "another machine's"})
        failed(chain, "S4NYNF0M123456")
        assert allocated_bytes(chain.disk) == blank

        chain.want(image.file)
        chain.go("active", "active")
        assert image.differences(chain.disk) == []
