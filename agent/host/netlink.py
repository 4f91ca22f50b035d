# SPDX-License-Identifier: Apache-2.0
"""The door to links, addresses, routes and rules of this network namespace.

In: the plan's steps, many at once. Out: what is, in the model in which it is desired. It must not decide: which address
belongs where is the planner's matter. One socket per call, closed at its end: nothing to leak or to resynchronise.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from threading import Lock
from typing import assert_never

from agent.errors import HostError
from agent.host.network_doors import KernelStep, Tables
from agent.host.rtnetlink import link as links
from agent.host.rtnetlink.channel import Change, Channel, channel, opened
from agent.host.rtnetlink.message import AF_BRIDGE, messages
from agent.host.rtnetlink.route import (
    GETADDR,
    GETNEIGH,
    GETROUTE,
    GETRULE,
    IFADDRMSG,
    NEWADDR,
    NEWNEIGH,
    NEWROUTE,
    NEWRULE,
    RTMSG,
    change_address,
    change_remote,
    change_route,
    change_rule,
    forget_place,
    read_address,
    read_remote,
    read_route,
    read_rule,
)
from agent.host.rtnetlink.tables import Memory, link_states
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

READING = "reading the network"
BRIDGES = links.IFINFOMSG.pack(AF_BRIDGE, 0, 0, 0, 0)
NETFILTER, NFT_GROUP = 12, 7  # NETLINK_NETFILTER; NFNLGRP_NFTABLES, linux/netfilter/nfnetlink.h
GROUPS = (1, 4, 5, 7, 8, 9, 11, 19)
"""RTNLGRP_LINK, TC, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE (linux/rtnetlink.h)."""


class RealNetlink:
    """`doors.Netlink` over rtnetlink."""

    def __init__(self) -> None:
        self._links = Memory(links.read_link)
        self._addresses = Memory(read_address)
        self._remotes = Memory(read_remote)
        self._rules = Memory(read_rule)
        self._names: Mapping[int, str] = {}
        self._routes = Memory(lambda body: read_route(body, self._names))
        self._raw: tuple[bytes, ...] = ()
        self._tables = Tables()
        self._lock = Lock()

    def tables(self) -> Tables:
        """All of it. The same object as before if the kernel said the same, byte for byte."""
        with channel(READING) as talk, self._lock:
            raw = self._dumped(talk)
            if raw != self._raw:
                self._tables, self._raw = self._read(raw), raw
            return self._tables

    def _dumped(self, talk: Channel) -> tuple[bytes, ...]:
        link_table = talk.table(links.GETLINK, links.dump_body(), READING)
        has_vxlan = b"vxlan\0" in link_table
        return tuple(
            without_port(table)
            for table in (
                link_table,
                talk.table(GETADDR, IFADDRMSG.pack(0, 0, 0, 0, 0), READING),
                talk.table(GETROUTE, RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), READING),
                talk.table(GETRULE, RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), READING),
                talk.table(GETNEIGH, BRIDGES, READING) if has_vxlan else b"",
            )
        )

    def _read(self, raw: tuple[bytes, ...]) -> Tables:
        found = self._links.parsed(raw[0], links.NEWLINK)
        names = {link.ifindex: link.name for link in found}
        if names != self._names:
            self._names = names
            self._routes = Memory(lambda body: read_route(body, names))
        routes = self._routes.parsed(raw[2], NEWROUTE)
        addresses, remotes = self._addresses.parsed(raw[1], NEWADDR), self._remotes.parsed(raw[4], NEWNEIGH)
        return Tables(
            links=link_states(found, addresses, remotes),
            routes=tuple(one.route for one in routes if not one.leased),
            leased_routes=tuple(one.route for one in routes if one.leased),
            rules=tuple(self._rules.parsed(raw[3], NEWRULE)),
        )

    def change(self, steps: Sequence[KernelStep]) -> None:
        """In order, as few datagrams as possible. New links are looked up before anything is done to them."""
        with channel("changing the network") as talk:
            indexes = indexes_of(talk)
            for creating, group in groupby(steps, key=lambda step: isinstance(step, CreateLink)):
                for batch in batches(list(group)) if creating else (list(group),):
                    told(talk, batch, indexes)
                    if creating:
                        indexes = indexes_of(talk)
            gone = {(indexes[step.name], step.remote.packed) for step in steps if isinstance(step, RemoveRemote)}
            if gone:  # what was learnt would be sent there for minutes (ip-link(8), vxlan, ageing)
                table = talk.table(GETNEIGH, BRIDGES, READING)
                learnt = [forget_place(body, gone) for kind, _, _, body in messages(table) if kind == NEWNEIGH]
                talk.change([each for each in learnt if each is not None])

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """What is heard from now on."""
        with ExitStack() as opened_:
            try:
                heard = [opened_.enter_context(opened(GROUPS)), opened_.enter_context(opened((NFT_GROUP,), NETFILTER))]
            except OSError as error:
                raise HostError("watching the network", error.strerror or str(error)) from error
            yield Watch(heard)


class Watch:
    """`doors.Watch` over netlink's multicast groups."""

    def __init__(self, heard: Sequence[socket.socket]) -> None:
        self._heard = heard
        for each in heard:
            each.setblocking(False)

    def wait(self, timeout_s: float) -> bool:
        """True once anything changed; what else is waiting is taken with it. A message that was lost is news, too."""
        ready, _, _ = select.select(self._heard, [], [], timeout_s)
        for each in ready:
            drain(each)
        return bool(ready)


def drain(heard: socket.socket) -> None:
    """Take all that waits."""
    while True:
        try:
            heard.recv(1)
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # some were lost; what is left is behind that
                return


def told(talk: Channel, batch: Sequence[KernelStep], indexes: Mapping[str, int]) -> None:
    """What stands before a step that is about no link is done all the same. Raises `HostError`."""
    changes: list[Change] = []
    try:
        for step in batch:
            changes.append(change_of(step, indexes))
    except HostError:
        talk.change(changes)
        raise
    talk.change(changes)


def without_port(table: bytes) -> bytes:
    """The kernel tells each socket its own port and sequence in every header: not news."""
    data, at = bytearray(table), 0
    while at + 16 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        data[at + 8 : at + 16] = bytes(8)
        at += (max(length, 16) + 3) & ~3
    return bytes(data)


def indexes_of(talk: Channel) -> dict[str, int]:
    """Name → index."""
    found = Memory(links.read_link).parsed(talk.table(links.GETLINK, links.dump_body(), READING), links.NEWLINK)
    return {link.name: link.ifindex for link in found}


def batches(steps: Sequence[KernelStep]) -> Iterator[list[KernelStep]]:
    """Links that are to be made, so that none is in one batch with what it stands on."""
    batch: list[KernelStep] = []
    names: set[str] = set()
    for step in steps:
        assert isinstance(step, CreateLink)
        if names & set(step.link.lower):
            yield batch
            batch, names = [], set()
        batch.append(step)
        names.add(step.link.name)
    yield batch


def change_of(step: KernelStep, indexes: Mapping[str, int]) -> Change:
    """The message for a step. A link that is not there has index 0, with which the kernel refuses it."""
    match step:
        case CreateLink():
            return links.create(step.link, indexes)
        case ChangeLink():
            return links.change(step.link, indexes)
        case DeleteLink():
            return links.delete(step.name, index(step.name, indexes))
        case SetLink():
            return links.set_link(index(step.name, indexes), step.name, up=step.up, mtu=step.mtu, mac=step.mac)
        case SetUpper():
            upper = index(step.upper, indexes) if step.upper else 0
            return links.set_upper(index(step.name, indexes), step.name, upper, step.upper)
        case AddAddress() | RemoveAddress():
            add = isinstance(step, AddAddress)
            return change_address(index(step.name, indexes), step.name, step.address, add=add)
        case SetRoute() | RemoveRoute():
            where = index(step.route.link, indexes) if step.route.link else 0
            return change_route(where, step.route, add=isinstance(step, SetRoute))
        case AddRule() | RemoveRule():
            return change_rule(step.rule, add=isinstance(step, AddRule))
        case AddRemote() | RemoveRemote():
            add = isinstance(step, AddRemote)
            return change_remote(index(step.name, indexes), step.name, step.remote, add=add)
    assert_never(step)


def index(name: str, indexes: Mapping[str, int]) -> int:
    """Of a link. Raises `HostError`."""
    if name not in indexes:
        raise HostError(f"changing {name}", "there is no link of that name", hint="It may have been removed meanwhile.")
    return indexes[name]
