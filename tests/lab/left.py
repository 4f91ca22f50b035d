# SPDX-License-Identifier: Apache-2.0
"""What labs have left behind."""

from __future__ import annotations

from lab.command import run
from lab.site import LABS, OWNER

LAB = "bms-lab-"


def namespaces() -> set[str]:
    """The names of all network namespaces."""
    return {line.split()[0] for line in run(["ip", "netns", "list"]).splitlines()}


def ownerless() -> set[str]:
    """Namespaces of labs that are no more. Other tests may have labs of their own at the same time."""
    return {name for name in namespaces() if name.startswith(LAB) and not (LABS / name / OWNER).exists()}
