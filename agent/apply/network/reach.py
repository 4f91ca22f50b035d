# SPDX-License-Identifier: Apache-2.0
"""Addresses and the ports that each may reach, as elements of sets that the kernel takes. Pure.

Sets of intervals take no two elements that overlap (nft_pipapo_insert() in net/netfilter), rules are free to. So ports
are merged for each host and network; and networks, which are apart or one in another, are in as many sets as they are
deep. Single ports of hosts need no interval: they are looked up by hashing.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from socket import inet_ntoa

from agent.model.network import IPAddress, IPNetwork

Span = tuple[int, int]
"""First and last."""


class Reach:
    """What the rules of one version of IP and one protocol allow."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._hosts: dict[str, list[Span]] = {}
        self._networks: dict[Span, list[Span]] = {}

    def add(self, remote: IPNetwork, ports: Span) -> None:
        """One more rule. To look a host up costs less than to search networks: hosts are apart."""
        if remote.prefixlen == remote.max_prefixlen:
            self._hosts.setdefault(text_of(remote.network_address), []).append(ports)
        else:
            self._networks.setdefault(span_of(remote), []).append(ports)

    def sets(self) -> Iterator[tuple[str, str, list[str]]]:
        """The end of a set's name, its flags, and elements "addresses . ports": none if none are such."""
        single: list[str] = []
        several: list[str] = []
        for host, ports in self._hosts.items():
            for first, last in merged(ports):
                (single if first == last else several).append(f"{host} . {span_text(first, last)}")
        yield "port", "", single
        yield "ports", "; flags interval", several
        for depth, networks in enumerate(self._nested()):
            pairs = [
                f"{range_text(self._version, *network)} . {span_text(first, last)}"
                for network in networks
                for first, last in merged(self._networks[network])
            ]
            yield f"nets{depth}", "; flags interval", pairs

    def _nested(self) -> list[list[Span]]:
        """By how many others each is in."""
        found: list[list[Span]] = []
        around: list[int] = []
        for first, last in sorted(self._networks, key=lambda span: (span[0], -span[1])):
            while around and around[-1] < first:
                around.pop()
            if len(around) == len(found):
                found.append([])
            found[len(around)].append((first, last))
            around.append(last)
        return found


def merged(spans: list[Span]) -> list[Span]:
    """Those that overlap or touch, as one; in order."""
    if len(spans) == 1:
        return spans
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def span_of(network: IPNetwork) -> Span:
    """Its addresses, as numbers."""
    first = int(network.network_address)
    return first, first | (1 << network.max_prefixlen - network.prefixlen) - 1


def span_text(first: int, last: int) -> str:
    """As nft reads it."""
    return f"{first}" if first == last else f"{first}-{last}"


def range_text(version: int, first: int, last: int) -> str:
    """As a range: it may be no network any more."""
    if version == 4:
        return f"{inet_ntoa(first.to_bytes(4))}-{inet_ntoa(last.to_bytes(4))}"
    return f"{IPv6Address(first)}-{IPv6Address(last)}"


def text_of(address: IPAddress) -> str:
    """As `str`, in a third of the time: there are thousands."""
    return inet_ntoa(address.packed) if address.version == 4 else str(address)
