# SPDX-License-Identifier: Apache-2.0
"""The baseboard management controller, as it tells of itself to its own host."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from pydantic import Field

from agent.model.frozen import Frozen


class Bmc(Frozen):
    """Where it is found on the network. `None` is "not configured"; a machine without a BMC has no `Bmc`."""

    v4: IPv4Address | None = None
    v6: IPv6Address | None = None
    mac: str | None = Field(default=None, description="of the LAN channel that has an address")
    firmware: str | None = None
