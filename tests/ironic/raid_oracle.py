# SPDX-License-Identifier: Apache-2.0
"""Ironic's own RAID interface, `AgentRAID`, as the judge of what the agent says of arrays.

It runs by the Python of Ironic's environment. In: a JSON line for each step, `{"state": …, "step": …, "config": …,
"command": …}`, with the node's state, what was asked for, and the agent's command as it is listed. Out: a line for each
with what Ironic would remember of the node: `{"raid_config": …, "properties": …}`, or `{"error": …}`.
"""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

from ironic import objects  # type: ignore[import-not-found]
from ironic.common import states  # type: ignore[import-not-found]
from ironic.conf import CONF  # type: ignore[import-not-found]
from ironic.drivers.modules.agent import AgentRAID  # type: ignore[import-not-found]

STATES = {"clean": states.CLEANWAIT, "deploy": states.DEPLOYWAIT}
HINTS = {"root_device": {"name": "/dev/sdz"}, "capabilities": "boot_mode:uefi"}


class Node(SimpleNamespace):
    """What of a node the interface looks at and changes."""

    saved = False

    def save(self) -> None:
        """There is no database."""
        self.saved = True


def judged(asked: dict[str, Any]) -> dict[str, Any]:
    """What Ironic's hook after the step makes of the command."""
    node = Node(uuid="n", provision_state=STATES[asked["state"]], properties=dict(HINTS), raid_config={"old": True})
    task = SimpleNamespace(node=node)
    if asked["config"] is not None:
        AgentRAID().validate_raid_config(task, asked["config"])
    hook = "_delete_configuration_final" if asked["step"] == "delete_configuration" else "_create_configuration_final"
    try:
        getattr(AgentRAID, hook)(task, asked["command"])
    except Exception as error:  # noqa: BLE001 - the test outside judges it
        return {"error": str(error)}
    return {"raid_config": node.raid_config, "properties": node.properties, "saved": node.saved}


def main() -> None:
    """Until there are no more lines."""
    CONF([], project="ironic", default_config_files=[])
    objects.register_all()
    for line in sys.stdin:
        print(json.dumps(judged(json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
