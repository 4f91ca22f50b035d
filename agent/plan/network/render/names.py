# SPDX-License-Identifier: Apache-2.0
"""Rules for udev that give each NIC its name by its MAC: for formats that know links by name alone.

udev(7). A rule's `NAME=` comes before the names of 80-net-setup-link.rules. The kernel refuses a name that another NIC
bears at that moment: names that it gives itself (`eth0`) can clash so, those of `ID_NET_NAME` do not.
"""

from __future__ import annotations

import json

from agent.model.network import Ethernet
from agent.plan.network.render.mark import marked
from agent.plan.network.render.outline import Outline

FOLDER = "/etc/udev/rules.d"
PATH = f"{FOLDER}/70-bms-agent-net.rules"


def naming(outline: Outline) -> dict[str, str]:
    """The file, if there is a NIC."""
    nics = [link for link in outline.links if isinstance(link, Ethernet)]
    lines = [
        f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{nic.mac}", NAME={json.dumps(nic.name)}\n'
        for nic in nics
    ]
    return {PATH: marked("".join(lines))} if lines else {}
