# SPDX-License-Identifier: Apache-2.0
"""What an operator asks of Ironic, by its API: nodes, ports, provision states. Every wait has an end and tells why."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from typing import Any

import requests

from lab.fault import LabFault

VERSION = "1.95"
TIMEOUT_S = 60.0
POLL_S = 0.5
SECRETS = ("redfish_password", "rescue_password")
FAILED = (
    "adopt failed", "clean failed", "deploy failed", "error", "inspect failed", "rescue failed", "service failed",
    "unrescue failed",
)  # fmt: skip


class IronicApi:
    """The API at one address. `echo` is told every request that changes something, as it is sent."""

    def __init__(self, url: str, echo: Callable[[str], object] = lambda _: None) -> None:
        self._url = url
        self._echo = echo
        self._session = requests.Session()
        self._session.headers["X-OpenStack-Ironic-API-Version"] = VERSION

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer; None where there is none. Raises `LabFault` with Ironic's own words."""
        if method != "GET":
            self._echo(f"{method} {path} {json.dumps(without_secrets(body))}")
        answer = self._session.request(method, f"{self._url}{path}", json=body, timeout=TIMEOUT_S)
        if not answer.ok:
            raise LabFault(f"asking Ironic for {method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def enrol(self, name: str, mac: str, driver_info: dict[str, str], **fields: Any) -> str:
        """A node of the redfish type with one port; its UUID."""
        node = self.ask("POST", "/v1/nodes", {"name": name, "driver": "redfish", "driver_info": driver_info} | fields)
        self.ask("POST", "/v1/ports", {"node_uuid": node["uuid"], "address": mac})
        return str(node["uuid"])

    def node(self, node: str) -> Any:
        return self.ask("GET", f"/v1/nodes/{node}")

    def inventory(self, node: str) -> Any:
        """What the ramdisk found, as Ironic keeps it."""
        return self.ask("GET", f"/v1/nodes/{node}/inventory")

    def set(self, node: str, **fields: Any) -> None:
        """Fields of the node, or of its dictionaries: `instance_info__image_source`."""
        patch = [{"op": "add", "path": f"/{name.replace('__', '/')}", "value": value} for name, value in fields.items()]
        self.ask("PATCH", f"/v1/nodes/{node}", patch)

    def order(self, node: str, target: str, **more: Any) -> None:
        """A change of the provision state: manage, inspect, provide, active, deleted, rescue …"""
        self.ask("PUT", f"/v1/nodes/{node}/states/provision", {"target": target} | more)

    def wait(self, node: str, wanted: str, timeout_s: float, poll_s: float = POLL_S) -> Any:
        """The node, once it is in that state and nobody works on it. Raises `LabFault` as soon as that has failed."""
        return self.wait_for_any(node, (wanted,), timeout_s, poll_s)

    def wait_for_any(self, node: str, wanted: Collection[str], timeout_s: float, poll_s: float = POLL_S) -> Any:
        """The same for the first of several states."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.node(node)
            state = found["provision_state"]
            if state in wanted and (state.endswith("wait") or found["reservation"] is None):
                return found
            failed = state not in wanted and (state in FAILED or (found["maintenance"] and found["fault"]))
            if failed or time.monotonic() > deadline:
                raise LabFault(_why(found, wanted, timeout_s, failed=bool(failed)))
            time.sleep(poll_s)


def without_secrets(body: Any) -> Any:
    """What may be shown of it, as Ironic itself shows it."""
    match body:
        case dict():
            return {name: "******" if name in SECRETS else without_secrets(value) for name, value in body.items()}
        case list():
            return [without_secrets(value) for value in body]
    return body


def _why(node: Any, wanted: Collection[str], timeout_s: float, *, failed: bool) -> str:
    state = f"{node['provision_state']} (target {node['target_provision_state']}, power {node['power_state']})"
    what = "failed" if failed else f"not within {timeout_s:.0f} seconds"
    step = node["clean_step"] or node["deploy_step"] or node["service_step"]
    return f"waiting for the node to be {' or '.join(wanted)}: {what}: it is {state}: {node['last_error']} {step or ''}"
