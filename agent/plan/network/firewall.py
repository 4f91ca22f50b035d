# SPDX-License-Identifier: Apache-2.0
"""Decides how the loaded firewall and EIPs become the desired ones. Pure.

In: digests of what is loaded, what is desired, and what was desired before. Out: at most one step each.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import PreconditionError
from agent.model.network import Eip, Firewall, IPAddress, NetworkConfig, NetworkState, eips_digest
from agent.model.network.step import ChangeMembers, ReplaceFirewall, SetEips

Members = Mapping[str, tuple[IPAddress, ...]]


def firewall_steps(
    loaded: str | None, last: Firewall | None, desired: Firewall | None
) -> list[ReplaceFirewall | ChangeMembers]:
    """`None` is desired where nothing is said of it. Where members alone came or went, only they are changed."""
    if desired is None or loaded == (digest := desired.digest):
        return []
    if last is None or not differ_in_members_alone(last, desired) or loaded != last.digest:
        return [ReplaceFirewall(firewall=desired)]
    return [
        ChangeMembers(
            add=missing(desired.members, last.members), remove=missing(last.members, desired.members), digest=digest
        )
    ]


def differ_in_members_alone(last: Firewall, desired: Firewall) -> bool:
    """Whether rules and links are the same, and the same groups have members."""
    return (
        last.members.keys() == desired.members.keys() and last.links == desired.links and last.groups == desired.groups
    )


def missing(some: Members, others: Members) -> dict[str, tuple[IPAddress, ...]]:
    """Members of `some` that are not in `others`, by group."""
    found = {}
    for group, addresses in some.items():
        known = set(others[group])
        if gone := tuple(address for address in addresses if address not in known):
            found[group] = gone
    return found


def eip_steps(loaded: str | None, desired: tuple[Eip, ...] | None) -> list[SetEips]:
    """`None` is desired where nothing is said of it. A host that never had any needs no empty table."""
    if desired is None or loaded == eips_digest(desired) or (loaded is None and not desired):
        return []
    return [SetEips(eips=desired)]


def filters_are_known(state: NetworkState, wanted: NetworkConfig, was: NetworkConfig) -> None:
    """What cannot be seen could not be brought back. Raises `PreconditionError` where firewall or EIPs are desired, or
    those that were are to go."""
    if state.filters_unread is None:
        return
    both = ((wanted.firewall, was.firewall, Firewall()), (wanted.eips, was.eips, ()))
    if any(new is not None and not all(each in (None, none) for each in (new, old)) for new, old, none in both):
        raise PreconditionError(
            "planning security groups and EIPs",
            f"what is loaded cannot be read: {state.filters_unread}",
            hint="Nothing was changed. Has this kernel nf_tables, and may the agent ask it (CAP_NET_ADMIN)?",
        )


def unseen_steps(state: NetworkState, former: NetworkConfig) -> list[ReplaceFirewall | SetEips]:
    """A revert that cannot see what is loaded takes it for none of what was: it loads that, or is not at its end."""
    if state.filters_unread is None:
        return []
    firewall = [] if former.firewall is None else [ReplaceFirewall(firewall=former.firewall)]
    return [*firewall, *([] if former.eips is None else [SetEips(eips=former.eips)])]
