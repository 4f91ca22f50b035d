# SPDX-License-Identifier: Apache-2.0
"""Steps that change the network. Links are named as the kernel names them; a step done twice changes nothing more."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agent.model.frozen import Frozen
from agent.model.network.firewall import Eip, Firewall
from agent.model.network.link import Bandwidth, Link
from agent.model.network.persistence import Manager
from agent.model.network.proof import ProveNetwork
from agent.model.network.route import Route, Rule
from agent.model.network.values import IPAddress, IPInterface


class CreateLink(Frozen):
    """Make a virtual link, down, with its options; ports are given to it by `SetUpper`."""

    kind: Literal["create_link"] = "create_link"
    link: Link


class ChangeLink(Frozen):
    """Set those options of a virtual link that can change while it lives."""

    kind: Literal["change_link"] = "change_link"
    link: Link


class DeleteLink(Frozen):
    """Take a virtual link away, with all that is on it."""

    kind: Literal["delete_link"] = "delete_link"
    name: str


class SetLink(Frozen):
    """Up or down, MTU, MAC: what is given."""

    kind: Literal["set_link"] = "set_link"
    name: str
    up: bool | None = None
    mtu: int | None = None
    mac: str | None = None


class SetUpper(Frozen):
    """Make a link a port of a bond, bridge or VRF, or of none. A bond takes only links that are down."""

    kind: Literal["set_upper"] = "set_upper"
    name: str
    upper: str | None = None


class AddAddress(Frozen):
    """Put an address on a link."""

    kind: Literal["add_address"] = "add_address"
    name: str
    address: IPInterface


class RemoveAddress(Frozen):
    """Take an address off a link."""

    kind: Literal["remove_address"] = "remove_address"
    name: str
    address: IPInterface


class SetRoute(Frozen):
    """Add a route, in place of any with its table, destination and metric."""

    kind: Literal["set_route"] = "set_route"
    route: Route


class RemoveRoute(Frozen):
    """Take a route away."""

    kind: Literal["remove_route"] = "remove_route"
    route: Route


class AddRule(Frozen):
    """Add a rule."""

    kind: Literal["add_rule"] = "add_rule"
    rule: Rule


class RemoveRule(Frozen):
    """Take a rule away."""

    kind: Literal["remove_rule"] = "remove_rule"
    rule: Rule


class AddRemote(Frozen):
    """Another host to which a VXLAN sends what has no known place."""

    kind: Literal["add_remote"] = "add_remote"
    name: str
    remote: IPAddress


class RemoveRemote(Frozen):
    """One less."""

    kind: Literal["remove_remote"] = "remove_remote"
    name: str
    remote: IPAddress


class SetSysctl(Frozen):
    """A setting below /proc/sys/net, such as ipv4/conf/all/rp_filter."""

    kind: Literal["set_sysctl"] = "set_sysctl"
    key: str
    value: str


class ReplaceFirewall(Frozen):
    """Put this firewall in place of the present one, in one transaction."""

    kind: Literal["replace_firewall"] = "replace_firewall"
    firewall: Firewall


class ChangeMembers(Frozen):
    """Members join and leave groups; rules stay. `digest` is the whole firewall's, when that is done."""

    kind: Literal["change_members"] = "change_members"
    add: dict[str, tuple[IPAddress, ...]] = Field(default_factory=dict, description="id of a group → addresses")
    remove: dict[str, tuple[IPAddress, ...]] = Field(default_factory=dict)
    digest: str


class SetEips(Frozen):
    """Put the translations of these EIPs in place of the present ones, in one transaction."""

    kind: Literal["set_eips"] = "set_eips"
    eips: tuple[Eip, ...] = ()


class LimitBandwidth(Frozen):
    """Shape a link's traffic; `Bandwidth()` takes the limits away."""

    kind: Literal["limit_bandwidth"] = "limit_bandwidth"
    name: str
    bandwidth: Bandwidth


class PersistNetwork(Frozen):
    """Write the files with which the next boot begins with this network, and have them read now where that is needed.

    `removed` are files of ours that nobody wants any more. `activate` are links that the manager has to bring up
    itself, since its client asks for their leases; the others are as they shall be already.
    """

    kind: Literal["persist_network"] = "persist_network"
    manager: Manager
    files: dict[str, str] = Field(default_factory=dict, description="absolute path to text")
    removed: tuple[str, ...] = ()
    activate: tuple[str, ...] = ()
    restore: tuple[str, ...] = Field(default=(), description="links whose former client has to fetch their lease again")


NetworkStep = Annotated[
    CreateLink
    | ChangeLink
    | DeleteLink
    | SetLink
    | SetUpper
    | AddAddress
    | RemoveAddress
    | SetRoute
    | RemoveRoute
    | AddRule
    | RemoveRule
    | AddRemote
    | RemoveRemote
    | SetSysctl
    | ReplaceFirewall
    | ChangeMembers
    | SetEips
    | LimitBandwidth
    | PersistNetwork
    | ProveNetwork,
    Field(discriminator="kind"),
]
