# SPDX-License-Identifier: Apache-2.0
"""Planning the network: `(as it is, as it shall be, as it was desired last) → NetworkPlan`; unchanged is an empty one.

    resolve   NICs by their permanent MACs
    links     what is made, changed, taken away
    routing   addresses, routes, rules
    firewall  security groups, EIPs
    render    the files for the next boot
    reach     refuses what would cut the way to the controller
    proof     which self-tests must pass before it counts

What is in the way goes first; then everything is made from below to above; what is surplus goes last. Files are written
once all is proven, and it is proven again when their reader knows them; but for links whose lease the distribution's
own client must fetch: it needs them before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.errors import PreconditionError
from agent.model.network import (
    Bond,
    Bridge,
    Ethernet,
    Firewall,
    Macvlan,
    Manager,
    NetworkConfig,
    NetworkState,
    Snapshot,
    Vlan,
    Vrf,
    Vxlan,
)
from agent.model.network.plan import NetworkPlan, NicMustBe
from agent.model.network.proof import ControllerAddress, ProveNetwork
from agent.model.network.soundness import VXLAN_OVERHEAD_BYTES
from agent.model.network.state import has_lease
from agent.model.network.step import LimitBandwidth, NetworkStep, PersistNetwork, RemoveAddress
from agent.plan.network.firewall import eip_steps, filters_are_known, firewall_steps, unseen_steps
from agent.plan.network.links import change_links, is_other
from agent.plan.network.proof import proofs_of
from agent.plan.network.reach import refuse_to_cut
from agent.plan.network.render import CLOUD_INIT, ours, render, superseded
from agent.plan.network.resolve import names_now, renamed, resolve, resolve_what_is_there
from agent.plan.network.routing import Scene, change_addresses, change_routes, change_rules, promotions
from agent.plan.network.sysctls import FILE, change_sysctls, renamed_key, sysctl_file, sysctls_of


@dataclass(frozen=True)
class Stored:
    """What is kept for the next boot: by which program (None: nothing), and the text of files where ours may be."""

    manager: Manager | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    cloud_init: bool = field(default=False)
    """It is installed, and must be told to keep its hands off the network."""


def plan_network(
    state: NetworkState,
    desired: NetworkConfig,
    before: NetworkConfig,
    stored: Stored,
    controller: ControllerAddress | None = None,
) -> NetworkPlan:
    """`before` is what was desired and held last. Raises `PreconditionError` when a NIC is not there, `InputError` for
    what the machine cannot carry, or what would cut the way to the controller; then nothing is planned at all.
    """
    wanted = resolve(desired, state)
    mtus_fit_what_is_there(wanted, state)
    was = resolve_what_is_there(before, state)
    filters_are_known(state, wanted, was)
    steps = changes(state, wanted, was, exact=False)
    refuse_to_cut(state, wanted, steps, controller)
    waiting = waiting_for_leases(wanted, state)
    persisting = persist_steps(wanted, stored, waiting)
    proofs = proofs_of(wanted, steps, waiting, controller)
    proving: list[NetworkStep] = [ProveNetwork(proofs=proofs)] if proofs else []
    again = proving if persisting else []
    all_steps = [*steps, *persisting, *proving] if waiting else [*steps, *proving, *persisting, *again]
    nics = tuple(NicMustBe(mac=link.mac, name=link.name) for link in wanted.links if link.kind == "ethernet")
    return NetworkPlan(nics=nics if all_steps else (), steps=tuple(all_steps))


def plan_revert(
    state: NetworkState, snapshot: Snapshot, failed: NetworkConfig, present: Mapping[str, str]
) -> NetworkPlan:
    """From wherever a change has got to, back to what was. NICs may have other names since, and some may be gone: a
    container's end of a cable is no reason to leave the rest as it is. `present`: text of those of the snapshot's files
    that are there.
    """
    names = names_now(snapshot.config, state)
    former = without_absent(renamed(snapshot.config, names), state)
    unseen = unseen_steps(state, former)  # at the end: it may fail, and nothing else shall wait for it
    seen = former.model_copy(update={"firewall": None, "eips": None} if unseen else {})
    steps = changes(state, seen, resolve_what_is_there(failed, state), exact=True)
    sysctls = {renamed_key(key, names): value for key, value in snapshot.sysctls.items()}
    steps += change_sysctls(state, sysctls, frozenset())
    files = {path: text for path, text in snapshot.files.items() if text is not None and present.get(path) != text}
    removed = tuple(path for path, text in snapshot.files.items() if text is None and path in present)
    leased = [names.get(name, name) for name in snapshot.leased]
    lost = tuple(name for name in leased if is_without_lease(state, name))
    if snapshot.manager is not None and (files or removed or lost):
        steps.append(PersistNetwork(manager=snapshot.manager, files=files, removed=removed, restore=lost))
    return NetworkPlan(steps=(*steps, *unseen))


def without_absent(config: NetworkConfig, state: NetworkState) -> NetworkConfig:
    """Without NICs that are gone, and what is said of them."""
    there = {link.name for link in state.links}
    gone = {link.name for link in config.links if isinstance(link, Ethernet) and link.name not in there}
    if not gone:
        return config
    links = [
        link.model_copy(update={"ports": tuple(port for port in link.ports if port not in gone)})
        if isinstance(link, Bond | Vrf | Bridge)
        else link
        for link in config.links
        if link.name not in gone and not gone & {getattr(link, "parent", None)}
    ]
    routes = tuple(route for route in config.routes or () if route.link is None or route.link not in gone)
    return config.model_copy(update={"links": tuple(links), "routes": routes})


def is_without_lease(state: NetworkState, name: str) -> bool:
    """Whether a link that is there waits for its client."""
    link = state.link(name)
    return link is not None and not link.leases


def changes(state: NetworkState, wanted: NetworkConfig, was: NetworkConfig, *, exact: bool) -> list[NetworkStep]:
    """Everything that the kernel is told, in a safe order."""
    links = change_links(state, wanted.links, was.links)
    scene = Scene(state, wanted, was, links.made, links.disturbed, exact)
    addresses = list(change_addresses(scene))
    dropped = frozenset(step.name for step in addresses if isinstance(step, RemoveAddress))
    setting, removing = change_routes(scene, dropped)
    adding, dropping = change_rules(scene)
    return [
        *firewall_steps(state.firewall_digest, was.firewall, needed(wanted.firewall, state)),
        *links.first,
        *links.build,
        *(() if exact else change_sysctls(state, sysctls_of(wanted), links.made)),
        *promotions(scene, addresses),
        *addresses,
        *setting,
        *adding,
        *eip_steps(state.eips_digest, wanted.eips),
        *dropping,
        *removing,
        *links.last,
        *limits(state, wanted, links.made),
    ]


def needed(firewall: Firewall | None, state: NetworkState) -> Firewall | None:
    """A host that never had security groups needs no empty table."""
    return None if firewall == Firewall() and state.firewall_digest is None else firewall


def limits(state: NetworkState, wanted: NetworkConfig, made: frozenset[str]) -> list[NetworkStep]:
    """Bandwidths that are not loaded."""
    present = {link.name: link.shaper for link in state.links if link.name not in made}
    return [
        LimitBandwidth(name=link.name, bandwidth=link.bandwidth)
        for link in wanted.links
        if link.bandwidth is not None and present.get(link.name) != link.bandwidth.handle
    ]


def waiting_for_leases(wanted: NetworkConfig, state: NetworkState) -> tuple[str, ...]:
    """Links that shall have an address from somebody else, and have none."""
    return tuple(
        link.name
        for link in wanted.links
        if link.up and (link.dhcp4 or link.dhcp6)
        if not has_lease(state.links, state.leased_routes, link.name, 4 if link.dhcp4 else 6)
    )


def persist_steps(wanted: NetworkConfig, stored: Stored, waiting: tuple[str, ...]) -> list[NetworkStep]:
    """Write what differs, remove what nobody wants, and have leases fetched."""
    manager = stored.manager
    if manager is None:
        return []
    texts = render(manager, wanted) | sysctl_file(sysctls_of(wanted)) if wanted.links else {}
    texts = {path: text for path, text in texts.items() if stored.cloud_init or path not in CLOUD_INIT}
    present = {*ours(manager, stored.files), *superseded(manager, wanted, stored.files), *({FILE} & set(stored.files))}
    changed = {path: text for path, text in texts.items() if stored.files.get(path) != text}
    removed = tuple(sorted(present - set(texts)))
    if not (changed or removed or waiting):
        return []
    return [PersistNetwork(manager=manager, files=changed, removed=removed, activate=waiting)]


def mtus_fit_what_is_there(wanted: NetworkConfig, state: NetworkState) -> None:
    """A link whose carrier's MTU is not specified must fit into what it has. Raises `PreconditionError`."""
    there = {link.name: link for link in state.links}
    named = {link.name: link for link in wanted.links}

    def mtu_of(name: str) -> int | None:
        link, now = named.get(name), there.get(name)
        if link is not None and link.mtu is not None:
            return link.mtu
        if now is not None and (link is None or link.kind == "ethernet" or not is_other(link, there)):
            return now.mtu
        return mtu_of(link.lower[0]) if isinstance(link, Vlan | Macvlan) else None

    for place, link in enumerate(wanted.links):
        room = VXLAN_OVERHEAD_BYTES[link.local.version] if isinstance(link, Vxlan) else 0
        for lower in link.lower if isinstance(link, Vlan | Macvlan | Vxlan) else ():
            carrier = mtu_of(lower)
            if carrier is not None and link.mtu is not None and link.mtu + room > carrier:
                raise PreconditionError(
                    f"planning {link.name}",
                    f"links.{place}.mtu: {link.mtu} does not fit into {carrier - room} of {lower}",
                    hint=f"Give {lower} a larger mtu, or {link.name} a smaller one.",
                )
