# SPDX-License-Identifier: Apache-2.0
"""The virtual BMC of a machine: a small Redfish service (DMTF DSP0266) in front of its power button.

It is a process of its own (`python -m lab.bmc FOLDER PASSWORD-FILE`), because it outlives the machine, as a real one
does. It knows nothing of the controller.
"""

from __future__ import annotations

import base64
import hmac
import json
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from lab.fault import LabFault
from lab.machine import Machine, MachineSpec

PORT = 8000
USER = "admin"


class PowerButton(Protocol):
    """What the BMC needs of a machine."""

    spec: MachineSpec

    @property
    def is_on(self) -> bool: ...
    def power_on(self) -> None: ...
    def power_off(self) -> None: ...
    def reset(self) -> None: ...
    def press_power_button(self) -> None: ...


def _power_cycle(machine: PowerButton) -> None:
    machine.power_off()
    machine.power_on()


def _force_restart(machine: PowerButton) -> None:
    if machine.is_on:
        machine.reset()
    else:
        machine.power_on()


def _graceful_shutdown(machine: PowerButton) -> None:
    if machine.is_on:
        machine.press_power_button()


RESETS: dict[str, Callable[[PowerButton], None]] = {
    "On": lambda machine: machine.power_on(),
    "ForceOff": lambda machine: machine.power_off(),
    "GracefulShutdown": _graceful_shutdown,
    "ForceRestart": _force_restart,
    "PowerCycle": _power_cycle,
}


def system_path(spec: MachineSpec) -> str:
    return f"/redfish/v1/Systems/{spec.name}"


def system_resource(machine: PowerButton) -> dict[str, Any]:
    """The ComputerSystem as Redfish shows it."""
    spec = machine.spec
    return {
        "@odata.id": system_path(spec),
        "@odata.type": "#ComputerSystem.v1_20_0.ComputerSystem",
        "Id": spec.name,
        "Name": spec.name,
        "Manufacturer": spec.manufacturer,
        "Model": spec.product,
        "SerialNumber": spec.serial,
        "UUID": spec.uuid,
        "PowerState": "On" if machine.is_on else "Off",
        "Actions": {
            "#ComputerSystem.Reset": {
                "target": f"{system_path(spec)}/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": list(RESETS),
            }
        },
    }


class Bmc(ThreadingHTTPServer):
    """The service. One request at a time touches the machine."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], machine: PowerButton, user: str, password: str) -> None:
        super().__init__(address, _Handler)
        self.machine = machine
        self.lock = threading.Lock()
        self.credentials = b"Basic " + base64.b64encode(f"{user}:{password}".encode())


class _Handler(BaseHTTPRequestHandler):
    server: Bmc

    def do_GET(self) -> None:
        path = system_path(self.server.machine.spec)
        if self._refused(path):
            return
        with self.server.lock:
            self._answer(HTTPStatus.OK, system_resource(self.server.machine))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._refused(f"{system_path(self.server.machine.spec)}/Actions/ComputerSystem.Reset"):
            return
        try:
            reset = RESETS[json.loads(body)["ResetType"]]
        except (ValueError, KeyError, TypeError):
            self._fault(HTTPStatus.BAD_REQUEST, f"ResetType must be one of {', '.join(RESETS)}")
            return
        with self.server.lock:
            try:
                reset(self.server.machine)
            except (LabFault, OSError) as error:
                self._fault(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
                return
        self._answer(HTTPStatus.NO_CONTENT)

    def _refused(self, path: str) -> bool:
        """Whether the request was answered already: no entry, or nothing there."""
        given = self.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, self.server.credentials):
            self._fault(HTTPStatus.UNAUTHORIZED, "wrong user or password")
        elif self.path.rstrip("/") != path:
            self._fault(HTTPStatus.NOT_FOUND, f"there is no {self.path}")
        else:
            return False
        return True

    def _fault(self, status: HTTPStatus, text: str) -> None:
        self._answer(status, {"error": {"code": "Base.1.0.GeneralError", "message": text}})

    def _answer(self, status: HTTPStatus, resource: dict[str, Any] | None = None) -> None:
        body = b"" if resource is None else json.dumps(resource).encode()
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="bmc"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve the machine of the folder that is named on the command line."""
    folder, password_file = map(Path, sys.argv[1:])
    Bmc(("", PORT), Machine(folder), USER, password_file.read_text()).serve_forever()


if __name__ == "__main__":
    main()
