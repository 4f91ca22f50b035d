# SPDX-License-Identifier: Apache-2.0
"""What a new node is called. Who a machine is, agent and controller say alike: `model/machine_identity.py`."""

from __future__ import annotations


def node_name(boot_mac: str) -> str:
    """Short, stable, and to be found on its sticker."""
    return f"node-{boot_mac.replace(':', '')}"
