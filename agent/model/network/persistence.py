# SPDX-License-Identifier: Apache-2.0
"""Which program of the installed OS brings the network up at boot: its files are what outlives this agent."""

from __future__ import annotations

from enum import StrEnum


class Manager(StrEnum):
    """The files that are written, and who reads them."""

    NETWORKD = "networkd"
    NETPLAN = "netplan"
    NETWORK_MANAGER = "networkmanager"
    IFUPDOWN = "ifupdown"
    IFCFG = "ifcfg"
    WICKED = "wicked"
