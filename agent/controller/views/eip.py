# SPDX-License-Identifier: Apache-2.0
"""An EIP as its user sees it."""

from __future__ import annotations

from agent.controller.records.network import ElasticIp
from agent.controller.store.database import Transaction


class EipView(ElasticIp):
    """With the server that has it, and the private address behind it."""

    server_id: str | None
    server_name: str | None
    private: str | None


def eip_view(tx: Transaction, eip: ElasticIp) -> EipView:
    """As it is now."""
    port = tx.ports.get(eip.port_id) if eip.port_id else None
    server = tx.servers.get(port.server_id) if port else None
    return EipView(
        **dict(eip),
        server_id=server.id if server else None,
        server_name=server.name if server else None,
        private=port.address if port else None,
    )
