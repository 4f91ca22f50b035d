# SPDX-License-Identifier: Apache-2.0
"""`images/demo --controller ironic`, as a newcomer runs it: the main job, and what an Ironic user would type for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.site import KEPT, LABS
from tests.lab.left import namespaces, ownerless

pytestmark = [pytest.mark.machine, pytest.mark.root, pytest.mark.ironic_long]

DEMO = Path(__file__).parents[2] / "images" / "demo"
DEMO_TIMEOUT_S = 1500
# In the order in which they must happen; what was seen is printed only after it was seen.
MILESTONES = (
    "# baremetal node create",
    "Contoso BM-2000, serial CZ12345678",
    "S4NYNF0M123456",
    "# baremetal node provide bm-1",
    'PUT /v1/nodes/bm-1/states/provision {"target": "active"',
    "deploy.write_image",
    "hostname: web-1",
    "machine serial: CZ12345678",
    "address: 192.168.1.10",
)
END = (
    "disk data (3 GiB): data",
    '{"target": "deleted"}',
    "disk system (5 GiB): nothing but zeroes",
    "disk data (3 GiB): nothing but zeroes",
    "Timeline",
)


def played(*options: str) -> str:
    """What it said; it must have gone well."""
    argv = [str(DEMO), "--controller", "ironic", *options]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=DEMO_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def check_order(said: str, milestones: tuple[str, ...]) -> None:
    """Each comes after the one before."""
    place = 0
    for milestone in milestones:
        place = said.find(milestone, place)
        assert place >= 0, f"missing {milestone!r} in:\n{said}"


def test_the_main_job() -> None:
    """From a bare machine to a server that one can log in to, and back to wiped disks; nothing stays behind."""
    before = ownerless()
    said = played()

    check_order(said, (*MILESTONES, *END))
    assert 'redfish_password": "******' in said
    assert ownerless() <= before


def test_kept_on_bios() -> None:
    """On BIOS; left running, it is there until it is taken down."""
    before = ownerless()
    try:
        said = played("--firmware", "bios", "--keep")
        check_order(said, MILESTONES)
        (lab,) = [mark.parent for mark in LABS.glob(f"*/{KEPT}")]
        assert f"ip netns exec {lab.name} baremetal node list" in said
        assert lab.name in namespaces()
    finally:
        subprocess.run([str(DEMO), "--down"], check=True, timeout=DEMO_TIMEOUT_S)
    assert ownerless() <= before
