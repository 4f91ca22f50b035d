# SPDX-License-Identifier: Apache-2.0
"""Security groups as a server's agent is told them.

A group's members count within one VPC, for another may have the same addresses: so a group is one group a VPC here.
"""

from __future__ import annotations

from agent.controller.records.network import Segment, Vpc
from agent.controller.rules.wiring import Attachment, Rules, Wiring
from agent.model.network import Direction, Firewall, SecurityGroup, SecurityRule
from agent.model.network.values import IPAddress

UNDERLAY = "underlay"
VXLAN_PORT = 4789


def firewall_of(wiring: Wiring) -> Firewall:
    """Groups of the server's ports, and the members of every group that these refer to."""
    used = {_key(group, one.vpc): (group, one.vpc) for one in wiring.attachments for group in one.port.security_groups}
    groups = [_group(key, wiring.groups[group], vpc) for key, (group, vpc) in sorted(used.items())]
    members: dict[str, tuple[IPAddress, ...]] = {
        _key(remote, vpc): tuple(sorted(wiring.members.get((remote, vpc.id), ())))
        for group, vpc in used.values()
        for remote in remotes(wiring.groups[group].rules)
    }
    links = {wiring.link(one): _keys(one) for one in wiring.attachments if one.port.security_groups}
    if wiring.trunk in links and any(one.vpc.segment is Segment.VXLAN for one in wiring.attachments):
        groups.append(_underlay())
        members[UNDERLAY] = tuple(sorted(frozenset().union(*wiring.peers.values())))
        links[wiring.trunk] = (*links[wiring.trunk], UNDERLAY)
    return Firewall(groups=tuple(groups), links=dict(sorted(links.items())), members=dict(sorted(members.items())))


def remotes(rules: tuple[SecurityRule, ...]) -> set[str]:
    """Groups that these rules refer to."""
    return {rule.remote_group for rule in rules if rule.remote_group is not None}


def _key(group: str, vpc: Vpc) -> str:
    return f"{group}-{vpc.number}"


def _keys(one: Attachment) -> tuple[str, ...]:
    return tuple(sorted(_key(group, one.vpc) for group in one.port.security_groups))


def _group(key: str, group: Rules, vpc: Vpc) -> SecurityGroup:
    rules = (
        rule.model_copy(update={"remote_group": _key(rule.remote_group, vpc)}) if rule.remote_group else rule
        for rule in group.rules
    )
    ordered = sorted(set(rules), key=lambda rule: rule.model_dump_json())
    return SecurityGroup(id=key, name=group.name, rules=tuple(ordered))


def _underlay() -> SecurityGroup:
    """What carries a vxlan is between the servers' primary addresses, whatever their own groups say."""
    both = (
        SecurityRule(
            direction=direction, protocol="udp", first_port=VXLAN_PORT, last_port=VXLAN_PORT, remote_group=UNDERLAY
        )
        for direction in Direction
    )
    return SecurityGroup(id=UNDERLAY, name=UNDERLAY, rules=tuple(both))
