# SPDX-License-Identifier: Apache-2.0
"""What a BMC's virtual media told at boot, and how its discs are known (ironic/common/images.py, `_label`)."""

from __future__ import annotations

from pydantic import Field

from agent.model.frozen import Frozen, Secret

FLOPPY_LABEL = "ir-vfd-dev"
DISC_LABELS = ("config-2", "vmedia_boot_iso")
PARAMETERS = "/parameters.txt"
NETWORK_DATA = "/openstack/latest/network_data.json"
FOLDERS = ("/etc/ironic-python-agent", "/etc/ironic-python-agent.d")


class VirtualMedia(Frozen):
    """All that concerns this agent.

    parameters    `name=value` words of a floppy; they may hold a token
    has_disc      a disc of Ironic's was there
    files         absolute path → text, of Ironic's configuration files and what they name
    network_data  OpenStack's, as it stands there
    """

    parameters: Secret | None = None
    has_disc: bool = False
    files: dict[str, Secret] = Field(default_factory=dict)
    network_data: str | None = None
