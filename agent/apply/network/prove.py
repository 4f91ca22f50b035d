# SPDX-License-Identifier: Apache-2.0
"""The self-tests after a change. Each is tried again until it passes or the time is over: a switch port may need
seconds to forward, an IPv6 address one to be known as the only one.
"""

from __future__ import annotations

from threading import Event
from typing import assert_never

from agent.errors import ProofFailed
from agent.host.doors import Host
from agent.model.network.proof import (
    ControllerAnswers,
    DnsAnswers,
    GatewayAnswers,
    LeaseArrives,
    PathCarries,
    Proof,
    ProveNetwork,
)
from agent.model.network.state import has_lease

TRY_S = 1.0
SMALL_BYTES = 84
"""What ping(8) sends: everything carries it."""


def prove(host: Host, step: ProveNetwork) -> None:
    """All of them. Raises `ProofFailed` for the first that does not pass in time."""
    end_s = host.clock.monotonic_s() + step.timeout_s
    for proof in step.proofs:
        while (reason := failure(host, proof)) is not None:
            left_s = end_s - host.clock.monotonic_s()
            if left_s <= 0:
                raise ProofFailed(f"proving the network within {step.timeout_s:.0f} s", reason)
            host.clock.wait(Event(), min(TRY_S / 4, left_s))


def failure(host: Host, proof: Proof) -> str | None:
    """What speaks against it; None if it passes."""
    probe = host.probe
    match proof:
        case LeaseArrives():
            now = host.netlink.tables()
            passed = has_lease(now.links, now.leased_routes, proof.link, proof.version)
            return None if passed else f"{proof.link} got no IPv{proof.version} lease"
        case GatewayAnswers():
            what = "ARP" if proof.gateway.version == 4 else "neighbour discovery"
            passed = probe.neighbour(proof.link, proof.gateway, TRY_S)
            return None if passed else f"gateway {proof.gateway} does not answer {what} on {proof.link}"
        case PathCarries():
            if probe.echo(proof.link, proof.peer, proof.mtu, TRY_S):
                return None
            if not probe.echo(proof.link, proof.peer, SMALL_BYTES, TRY_S):
                return None  # it answers no echo at all: that proves nothing
            return f"{proof.peer} answers small packets, but none of {proof.mtu} bytes (the MTU of {proof.link})"
        case DnsAnswers():
            passed = any(probe.dns(server, TRY_S) for server in proof.servers)
            return None if passed else f"none of {', '.join(str(one) for one in proof.servers)} answers DNS"
        case ControllerAnswers():
            passed = probe.connects(proof.host, proof.port, TRY_S * 2)
            return None if passed else f"the controller at {proof.host}:{proof.port} takes no connection"
    assert_never(proof)
