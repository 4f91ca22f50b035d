# SPDX-License-Identifier: Apache-2.0
"""The doors to the network, as protocols: the kernel's tables, and who answers beyond this host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from agent.model.ladder import Ladder
from agent.model.network import IPAddress, LinkState, Route, Rule
from agent.model.network.step import (
    AddAddress,
    AddRemote,
    AddRule,
    ChangeLink,
    CreateLink,
    DeleteLink,
    RemoveAddress,
    RemoveRemote,
    RemoveRoute,
    RemoveRule,
    SetLink,
    SetRoute,
    SetUpper,
)

KernelStep = (
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
)
"""Steps that are one netlink message each."""


@dataclass(frozen=True)
class Tables:
    """The kernel's tables. Static routes are apart from those that a lease, a router or a routing daemon brought."""

    links: tuple[LinkState, ...] = ()
    routes: tuple[Route, ...] = ()
    leased_routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()


class Watch(Protocol):
    """What is heard of changes."""

    def wait(self, timeout_s: float) -> bool:
        """True once anything changed since the last call; False when the time is over."""
        ...


class Netlink(Protocol):
    """Links, addresses, routes and rules of this network namespace. Setting what is already so is no error."""

    def tables(self) -> Tables:
        """As they are, without the loopback device, and without what the kernel makes by itself."""
        ...

    def change(self, steps: Sequence[KernelStep]) -> None:
        """In order. Raises `HostError` for the first that was refused; a few behind it may have been done."""
        ...

    def watching(self) -> AbstractContextManager[Watch]:
        """Listens from now on."""
        ...


class Probe(Protocol):
    """Does somebody beyond this host answer? One attempt each; False for silence, and for what keeps it from asking."""

    def neighbour(self, link: str, address: IPAddress, timeout_s: float) -> bool:
        """ARP or neighbour discovery, anew."""
        ...

    def echo(self, link: str, address: IPAddress, size_bytes: int, timeout_s: float) -> bool:
        """An ICMP echo in one IP packet of that size that may not be fragmented."""
        ...

    def dns(self, server: IPAddress, timeout_s: float) -> bool: ...
    def connects(self, host: str, port: int, timeout_s: float) -> bool:
        """A TCP connection."""
        ...

    def addresses(self, host: str) -> tuple[IPAddress, ...]:
        """Of a name, by the system's resolver; none if nobody knows it."""
        ...

    def source(self, host: str, port: int) -> IPAddress | None:
        """Our address as that host sees it, by the kernel's routes; None if none leads there. Nothing is sent."""
        ...

    def climb(self, url: str, timeout_s: float, *, insecure: bool = False, ca_pem: str | None = None) -> Ladder:
        """The way to a web server, rung by rung, as far as it leads; `ca_pem`: the only authorities to be trusted."""
        ...


class Datagrams(Protocol):
    """Questions of one UDP datagram each. Silence, and what keeps it from asking, is no answer."""

    def ask(self, host: str, port: int, question: bytes, timeout_s: float) -> bytes | None:
        """What that host answers; None if nothing comes in time."""
        ...

    def ask_around(
        self, links: Sequence[str], groups: Sequence[IPAddress], port: int, question: bytes, timeout_s: float
    ) -> Iterator[bytes]:
        """What members of these multicast groups on these links answer, as it comes, until the time is over."""
        ...


class Lldp(Protocol):
    """What switches say of themselves on the cables."""

    def __call__(self, links: Sequence[str], timeout_s: float) -> Mapping[str, bytes]:
        """The first LLDP data unit on each of these links, which are listened to side by side; what is silent that long
        is left out. It ends as soon as all have spoken. Raises `HostError`.
        """
        ...
