# SPDX-License-Identifier: Apache-2.0
"""What must be seen to work before a change of the network counts as done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agent.model.frozen import Frozen
from agent.model.network.values import IPAddress


class LeaseArrives(Frozen):
    """The link gets an address by DHCP or router advertisements."""

    kind: Literal["lease_arrives"] = "lease_arrives"
    link: str
    version: Literal[4, 6]


class GatewayAnswers(Frozen):
    """The gateway answers ARP (IPv4) or neighbour discovery (IPv6) on this link."""

    kind: Literal["gateway_answers"] = "gateway_answers"
    link: str
    gateway: IPAddress


class PathCarries(Frozen):
    """A packet of the link's whole MTU, not to be fragmented, is answered. A peer that answers no echo at all proves
    nothing, either way.
    """

    kind: Literal["path_carries"] = "path_carries"
    link: str
    peer: IPAddress
    mtu: int


class DnsAnswers(Frozen):
    """One of the name servers answers."""

    kind: Literal["dns_answers"] = "dns_answers"
    servers: tuple[IPAddress, ...]


class ControllerAnswers(Frozen):
    """The controller takes a connection, by whatever way the new routes say."""

    kind: Literal["controller_answers"] = "controller_answers"
    host: str
    port: int


Proof = Annotated[
    LeaseArrives | GatewayAnswers | PathCarries | DnsAnswers | ControllerAnswers, Field(discriminator="kind")
]


class ProveNetwork(Frozen):
    """See that it works; if not within this time, all of the change is taken back."""

    kind: Literal["prove_network"] = "prove_network"
    proofs: tuple[Proof, ...]
    timeout_s: float = 20.0


class ControllerAddress(Frozen):
    """Where the controller is: a name or an address, with the addresses that it has now, and a port."""

    host: str
    addresses: tuple[IPAddress, ...] = ()
    port: int
    answers: bool = Field(
        default=True,
        description="it does now. One that is away can prove nothing, and must not keep a server off its network",
    )
