# SPDX-License-Identifier: Apache-2.0
"""Planning the network: `(NICs as they are, NICs as desired) → Plan`; nothing to change is an empty plan.

A static NIC is set over netlink, then written to systemd-networkd's files, so that the next boot begins with it.
A DHCP NIC is only written to the files: the distribution's own client does the work. New addresses come before old
ones go, so that the NIC is never without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Interface

from agent.errors import PreconditionError
from agent.model.network import Method, NetworkConfig, NetworkState, Nic, NicConfig
from agent.model.plan import (
    AddAddress,
    NicMustExist,
    PersistNetwork,
    Plan,
    RemoveAddress,
    SetDefaultRoute,
    SetLink,
    Step,
)

FOLDER = "/etc/systemd/network"
PREFIX = f"{FOLDER}/10-bms-agent-"


def plan_network(state: NetworkState, desired: NetworkConfig, files: Mapping[str, str]) -> Plan:
    """`files` are the present files of ours (those that begin with `PREFIX`), path to text.

    Raises `PreconditionError` when a NIC is not there; then nothing is planned for the others either.
    """
    nics = [(config, nic_of(state, config)) for config in desired.nics]
    steps: list[Step] = []
    for place, (config, nic) in enumerate(nics):
        if config.method is Method.STATIC:
            steps += static_steps(nic, config, default=place == 0)
    wanted = {
        f"{PREFIX}{config.mac.replace(':', '')}.network": render(config, place == 0)
        for place, (config, _) in enumerate(nics)
    }
    steps += persist_steps(files, wanted)
    if not steps and any(config.method is Method.DHCP and not has_lease(nic) for config, nic in nics):
        steps.append(PersistNetwork(files={}))  # the daemon may never have read them: what told it can have failed
    return Plan(
        preconditions=tuple(NicMustExist(mac=config.mac) for config in desired.nics) if steps else (),
        steps=tuple(steps),
    )


def nic_of(state: NetworkState, config: NicConfig) -> Nic:
    """The NIC that the configuration is for."""
    nic = state.by_mac(config.mac)
    if nic is None:
        there = ", ".join(f"{one.name} {one.mac}" for one in state.nics) or "none"
        raise PreconditionError(
            f"finding the NIC {config.mac}",
            f"NICs here: {there}",
            hint="Check the cabling plan: the port's MAC is not on this machine.",
        )
    return nic


def static_steps(nic: Nic, config: NicConfig, *, default: bool) -> list[Step]:
    """What differs, in an order that never leaves the NIC without an address."""
    address = config.address
    assert address is not None  # the model holds it for static NICs
    steps: list[Step] = []
    if not nic.up or (config.mtu is not None and config.mtu != nic.mtu):
        steps.append(SetLink(mac=config.mac, mtu=config.mtu))
    if address not in nic.addresses:
        steps.append(AddAddress(mac=config.mac, address=address))
    if default and config.gateway is not None and nic.gateway != config.gateway:
        steps.append(SetDefaultRoute(mac=config.mac, gateway=config.gateway))
    steps += [RemoveAddress(mac=config.mac, address=old) for old in nic.addresses if stale(old, address)]
    return steps


def stale(old: IPv4Interface, wanted: IPv4Interface) -> bool:
    """An address that must go. Link-local ones are the kernel's business."""
    return old != wanted and not old.ip.is_link_local


def has_lease(nic: Nic) -> bool:
    """Up, with an address."""
    return nic.up and any(not address.ip.is_link_local for address in nic.addresses)


def persist_steps(files: Mapping[str, str], wanted: Mapping[str, str]) -> list[Step]:
    """Write what differs, remove what nobody wants."""
    changed = {path: text for path, text in wanted.items() if files.get(path) != text}
    removed = tuple(sorted(set(files) - set(wanted)))
    return [PersistNetwork(files=changed, removed=removed)] if changed or removed else []


def unmet(state: NetworkState, desired: NetworkConfig) -> tuple[str, ...]:
    """What of the desired network does not hold, in words: the judgement after applying."""
    missing = []
    for place, config in enumerate(desired.nics):
        nic = state.by_mac(config.mac)
        if nic is None or not nic.up:
            missing.append(f"{config.mac} is {'down' if nic else 'not there'}")
        elif config.address is not None and config.address not in nic.addresses:
            missing.append(f"{config.mac} has not {config.address}")
        elif config.method is Method.DHCP and not has_lease(nic):
            missing.append(f"{config.mac} has no lease yet")
        elif place == 0 and config.gateway is not None and nic.gateway != config.gateway:
            missing.append(f"the default route is not through {config.gateway}")
    return tuple(missing)


def render(config: NicConfig, default: bool) -> str:
    """A .network file (systemd.network(5)) for one NIC."""
    lines = [
        "# Written by bms-agent: changes here are overwritten.",
        "[Match]",
        f"PermanentMACAddress={config.mac}",
        "Type=ether",
        "",
    ]
    if config.mtu is not None:
        lines += ["[Link]", f"MTUBytes={config.mtu}", ""]
    lines += ["[Network]", "LinkLocalAddressing=ipv6"]
    if config.method is Method.DHCP:
        lines += ["DHCP=ipv4"]
    if config.address is not None:
        lines += [f"Address={config.address}"]
    if default and config.gateway is not None:
        lines += [f"Gateway={config.gateway}"]
    lines += [f"DNS={server}" for server in config.dns]
    if not default and config.method is Method.DHCP:
        lines += ["", "[DHCPv4]", "UseGateway=no"]
    return "\n".join(lines) + "\n"
