# SPDX-License-Identifier: Apache-2.0
"""Doing the network's steps, over netlink; and the files for the next boot, which systemd-networkd reads now too."""

from __future__ import annotations

from typing import assert_never

from agent.errors import PreconditionError
from agent.host.doors import Host, Link
from agent.model.plan import (
    AddAddress,
    NicMustExist,
    PersistNetwork,
    RemoveAddress,
    SetDefaultRoute,
    SetLink,
)

NetworkStep = SetLink | AddAddress | RemoveAddress | SetDefaultRoute | PersistNetwork


def check_nic(host: Host, precondition: NicMustExist) -> None:
    """Raises `PreconditionError` if no NIC has that MAC."""
    link_of(host, precondition.mac)


def apply_network(host: Host, step: NetworkStep) -> None:
    """Do one step. Doing it again changes nothing. Raises `HostError`."""
    match step:
        case SetLink():
            host.netlink.set_link(link_of(host, step.mac).index, up=True, mtu=step.mtu)
        case AddAddress():
            host.netlink.add_address(link_of(host, step.mac).index, step.address)
        case RemoveAddress():
            host.netlink.remove_address(link_of(host, step.mac).index, step.address)
        case SetDefaultRoute():
            host.netlink.set_default_route(link_of(host, step.mac).index, step.gateway)
        case PersistNetwork():
            persist(host, step)
        case _:
            assert_never(step)


def persist(host: Host, step: PersistNetwork) -> None:
    """Write and remove the files, then tell the daemon: it adopts what netlink has set, and starts DHCP."""
    for path, text in step.files.items():
        host.files.write(path, text.encode())
    for path in step.removed:
        host.files.remove(path)
    host.run(["networkctl", "reload"], timeout_s=30)


def link_of(host: Host, mac: str) -> Link:
    """The physical link with that permanent MAC: a VLAN or bond on top of it may bear the same."""
    links = host.netlink.links()
    for link in links:
        if link.kind is None and (link.permanent_mac or link.current_mac) == mac:
            return link
    there = ", ".join(f"{link.name} {link.permanent_mac or link.current_mac}" for link in links)
    raise PreconditionError(f"finding the NIC {mac}", f"links here: {there or 'none'}")
