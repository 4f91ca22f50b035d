# SPDX-License-Identifier: Apache-2.0
"""A plan for the network as an operator reads it (`--plan`), one line a step."""

from __future__ import annotations

from typing import assert_never

from agent.model.network import Bandwidth, Bond, Bridge, Link, Macvlan, Route, RouteType, Rule, Vlan, Vrf, Vxlan
from agent.model.network.plan import NetworkPlan
from agent.model.network.proof import (
    ControllerAnswers,
    DnsAnswers,
    GatewayAnswers,
    LeaseArrives,
    PathCarries,
    Proof,
    ProveNetwork,
)
from agent.model.network.step import (
    AddAddress,
    AddRemote,
    AddRule,
    ChangeLink,
    ChangeMembers,
    CreateLink,
    DeleteLink,
    LimitBandwidth,
    NetworkStep,
    PersistNetwork,
    RemoveAddress,
    RemoveRemote,
    RemoveRoute,
    RemoveRule,
    ReplaceFirewall,
    SetEips,
    SetLink,
    SetRoute,
    SetSysctl,
    SetUpper,
)

MAIN = 254


def text(plan: NetworkPlan) -> str:
    """All of it; "nothing to do" for an empty plan."""
    lines = [f"must hold: the NIC {nic.mac} is there, as {nic.name}" for nic in plan.nics]
    lines += [f"{place}. {line(step)}" for place, step in enumerate(plan.steps, start=1)]
    return "\n".join(lines) or "nothing to do"


def line(step: NetworkStep) -> str:  # noqa: PLR0912 - one answer a kind
    """A step in words."""
    match step:
        case CreateLink():
            return f"create {link_text(step.link)}"
        case ChangeLink():
            return f"change {link_text(step.link)}"
        case DeleteLink():
            return f"delete {step.name}"
        case SetLink():
            return set_text(step)
        case SetUpper():
            return f"make {step.name} a port of {step.upper}" if step.upper else f"release {step.name}"
        case AddAddress():
            return f"add {step.address} to {step.name}"
        case RemoveAddress():
            return f"remove {step.address} from {step.name}"
        case SetRoute():
            return f"route {route_text(step.route)}"
        case RemoveRoute():
            return f"remove the route {route_text(step.route)}"
        case AddRule():
            return f"add the rule {rule_text(step.rule)}"
        case RemoveRule():
            return f"remove the rule {rule_text(step.rule)}"
        case AddRemote():
            return f"let {step.name} flood to {step.remote}"
        case RemoveRemote():
            return f"let {step.name} no longer flood to {step.remote}"
        case SetSysctl():
            return f"set net/{step.key} to {step.value}"
        case ReplaceFirewall():
            rules = sum(len(group.rules) for group in step.firewall.groups)
            return f"replace the security groups: {len(step.firewall.groups)} groups, {rules} rules"
        case ChangeMembers():
            return members_text(step)
        case SetEips():
            pairs = [f"{eip.address} for {eip.private} on {eip.link}" for eip in step.eips]
            return f"set the elastic IPs: {', '.join(pairs) or 'none'}"
        case LimitBandwidth():
            return f"limit {step.name} to {bandwidth_text(step.bandwidth)}"
        case PersistNetwork():
            return persist_text(step)
        case ProveNetwork():
            return f"prove: {'; '.join(proof_text(proof) for proof in step.proofs)}; else take it all back"
    assert_never(step)


def link_text(link: Link) -> str:
    """A link, with what is specified of it."""
    words = [f"{link.kind} {link.name}"]
    match link:
        case Bond():
            words.append(f"of {', '.join(link.ports)}, {link.mode}")
            words += [f"hashing {link.hash_policy}"] if link.hash_policy else []
            words += [f"{link.lacp_rate} LACP"] if link.lacp_rate else []
        case Vlan():
            words.append(f"tag {link.vlan_id} on {link.parent}")
        case Vxlan():
            words.append(f"VNI {link.vni} from {link.local}")
        case Vrf():
            words.append(f"table {link.table}")
        case Macvlan():
            words.append(f"{link.mode} on {link.parent}")
        case Bridge():
            words.append(f"of {', '.join(link.ports) or 'no ports'}")
        case _:
            pass
    words += [f"MAC {link.mac}"] if link.mac else []
    words += [f"MTU {link.mtu}"] if link.mtu else []
    return " ".join(words)


def set_text(step: SetLink) -> str:
    """What is set of a link."""
    words = [] if step.up is None else ["up" if step.up else "down"]
    words += [f"with MTU {step.mtu}"] if step.mtu else []
    words += [f"with MAC {step.mac}"] if step.mac else []
    return f"set {step.name} {' '.join(words)}"


def route_text(route: Route) -> str:
    """As ip-route(8) has it."""
    words = ["default" if route.is_default else str(route.destination)]
    words = [str(route.type), *words] if route.type is not RouteType.UNICAST else words
    words += [f"via {route.gateway}"] if route.gateway else []
    words += [f"dev {route.link}"] if route.link else []
    words += [f"src {route.source}"] if route.source else []
    words += [f"table {route.table}"] if route.table != MAIN else []
    words += [f"metric {route.metric}"] if route.metric else []
    return " ".join(words)


def rule_text(rule: Rule) -> str:
    """As ip-rule(8) has it."""
    words = [f"{rule.priority}: from {rule.source or 'all'}"]
    words += [f"to {rule.destination}"] if rule.destination else []
    words += [f"iif {rule.in_link}"] if rule.in_link else []
    words += [f"oif {rule.out_link}"] if rule.out_link else []
    words += [f"fwmark {rule.mark:#x}"] if rule.mark is not None else []
    return " ".join([*words, f"lookup {rule.table}"])


def members_text(step: ChangeMembers) -> str:
    """Who joins and leaves which group."""
    words = [f"{len(found)} join {group}" for group, found in sorted(step.add.items())]
    words += [f"{len(found)} leave {group}" for group, found in sorted(step.remove.items())]
    return f"change members of security groups: {', '.join(words) or 'none'}"


def bandwidth_text(bandwidth: Bandwidth) -> str:
    """Both directions."""
    out, into = bandwidth.egress_mbps, bandwidth.ingress_mbps
    words = [f"{out} Mbit/s out"] if out else []
    words += [f"{into} Mbit/s in"] if into else []
    return ", ".join(words) or "nothing: no limits"


def persist_text(step: PersistNetwork) -> str:
    """Files, and who reads them."""
    words = [f"write {path}" for path in sorted(step.files)] + [f"remove {path}" for path in step.removed]
    words += [f"let {step.manager} bring up {', '.join(step.activate)}"] if step.activate else []
    words += [f"let {step.manager} bring {', '.join(step.restore)} back"] if step.restore else []
    return ", ".join(words)


def proof_text(proof: Proof) -> str:
    """A self-test."""
    match proof:
        case LeaseArrives():
            return f"{proof.link} gets an IPv{proof.version} lease"
        case GatewayAnswers():
            return f"{proof.gateway} answers {'ARP' if proof.gateway.version == 4 else 'ND'} on {proof.link}"
        case PathCarries():
            return f"{proof.link} carries {proof.mtu} bytes to {proof.peer}"
        case DnsAnswers():
            return f"one of {', '.join(str(server) for server in proof.servers)} answers DNS"
        case ControllerAnswers():
            return f"the controller at {proof.host}:{proof.port} answers"
    assert_never(proof)
