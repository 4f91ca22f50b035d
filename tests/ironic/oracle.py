# SPDX-License-Identifier: Apache-2.0
"""Ironic's own client of the agent, `AgentClient`, as the judge of an agent's answers.

It runs by the Python of Ironic's environment: `oracle.py CALLBACK_URL CA_FILE TOKEN NODE`. In: a JSON line for each
call, `["execute_clean_step", {"step": …}]`; node and ports are added where the client wants them, and what Ironic
remembers of earlier answers. Out: a line for each, with what the conductor would go on with, or what it would fail
with: `{"result": …}`, `{"error": "AgentInProgress", "text": …}`.
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

from ironic import objects  # type: ignore[import-not-found]
from ironic.conf import CONF  # type: ignore[import-not-found]
from ironic.drivers.modules.agent_client import AgentClient  # type: ignore[import-not-found]

PORT = "0c4f7c0b-3a5f-4d5a-9f5e-5a1f3f1c2d22"


def node(url: str, ca_file: str, token: str, uuid: str) -> Any:
    """A node as the conductor has it after the agent's heartbeat."""
    known = {"agent_url": url, "agent_verify_ca": ca_file, "agent_secret_token": token}
    fields: dict[str, Any] = {"driver_info": {"redfish_password": "secret"}, "instance_info": {}, "properties": {}}
    return objects.Node(None, uuid=uuid, driver="redfish", driver_internal_info=known, target_raid_config={}, **fields)


def port(address: str) -> Any:
    """Its one port."""
    return objects.Port(None, uuid=PORT, address=address, pxe_enabled=True, local_link_connection={}, extra={})


def call(client: Any, known: dict[str, Any], name: str, words: dict[str, Any]) -> dict[str, Any]:
    """One call; whatever it raises is an answer, too."""
    try:
        method = getattr(client, name)
        wanted = inspect.signature(method).parameters
        result = method(**{key: value for key, value in known.items() if key in wanted}, **words)
        remember(known["node"], result)
        return {"result": result}
    except Exception as error:  # noqa: BLE001 - the test outside judges it
        return {"error": type(error).__name__, "text": str(error)}


def remember(known: Any, result: Any) -> None:
    """The version of the agent's steps goes back to it with every step."""
    match result:
        case {"command_result": {"hardware_manager_version": version}}:
            known.set_driver_internal_info("hardware_manager_version", version)


def main() -> None:
    """Until there are no more lines."""
    CONF([], project="ironic", default_config_files=[])
    objects.register_all()
    client = AgentClient()
    known = {"node": node(*sys.argv[1:]), "ports": [port("52:54:00:b0:00:01")]}
    for line in sys.stdin:
        print(json.dumps(call(client, known, *json.loads(line))), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
