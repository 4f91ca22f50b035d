# SPDX-License-Identifier: Apache-2.0
"""Sets the bandwidth limits of a link."""

from __future__ import annotations

from agent.host.doors import Host
from agent.model.network.step import LimitBandwidth


def limit_bandwidth(host: Host, step: LimitBandwidth) -> None:
    """In place of those that it has; `Bandwidth()` takes them away. Raises `HostError`."""
    host.traffic.limit(step.name, step.bandwidth)
