# SPDX-License-Identifier: Apache-2.0
"""Networks of a host: as they shall be (`NetworkConfig`), and as they are (`NetworkState`)."""

from agent.model.network.config import DriftPolicy, NetworkConfig
from agent.model.network.firewall import Direction, Eip, EipMode, Firewall, SecurityGroup, SecurityRule, eips_digest
from agent.model.network.link import (
    Bandwidth,
    Bond,
    BondMode,
    Bridge,
    Ethernet,
    HashPolicy,
    LacpRate,
    Link,
    Macvlan,
    MacvlanMode,
    Vlan,
    VlanProtocol,
    Vrf,
    Vxlan,
)
from agent.model.network.persistence import Manager
from agent.model.network.route import Dns, Route, RouteType, Rule
from agent.model.network.snapshot import Snapshot
from agent.model.network.state import BondPort, BondState, LinkState, NetworkState, Nic
from agent.model.network.values import DEFAULT_V4, DEFAULT_V6, MAIN_TABLE, IPAddress, IPInterface, IPNetwork

__all__ = [
    "DEFAULT_V4",
    "DEFAULT_V6",
    "MAIN_TABLE",
    "Bandwidth",
    "Bond",
    "BondMode",
    "BondPort",
    "BondState",
    "Bridge",
    "Direction",
    "Dns",
    "DriftPolicy",
    "Eip",
    "EipMode",
    "Ethernet",
    "Firewall",
    "HashPolicy",
    "IPAddress",
    "IPInterface",
    "IPNetwork",
    "LacpRate",
    "Link",
    "LinkState",
    "Macvlan",
    "MacvlanMode",
    "Manager",
    "NetworkConfig",
    "NetworkState",
    "Nic",
    "Route",
    "RouteType",
    "Rule",
    "SecurityGroup",
    "SecurityRule",
    "Snapshot",
    "Vlan",
    "VlanProtocol",
    "Vrf",
    "Vxlan",
    "eips_digest",
]
