# SPDX-License-Identifier: Apache-2.0
"""The virtual BMC of a machine: a small Redfish service (DMTF DSP0266) in front of its power button and boot order.

It is a process of its own (`python -m lab.bmc FOLDER PASSWORD-FILE`), because it outlives the machine, as a real one
does. It knows nothing of the controller.
"""

from __future__ import annotations

import base64
import hmac
import json
import sys
import threading
import urllib.request
from collections.abc import Callable, Container
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, Protocol

from lab.boot_override import BootOverride
from lab.fault import LabFault
from lab.machine import Machine, MachineSpec
from lab.redfish import ROOT, Document, documents, eject_path, insert_path, reset_path, system_path

PORT = 8000
USER = "admin"


class PowerButton(Protocol):
    """What the BMC needs of a machine."""

    spec: MachineSpec
    boot_override: BootOverride

    @property
    def is_on(self) -> bool: ...
    @property
    def disc(self) -> str | None: ...
    def insert(self, url: str, content: BinaryIO) -> None: ...
    def eject(self) -> None: ...
    def power_on(self) -> None: ...
    def power_off(self) -> None: ...
    def reset(self) -> None: ...
    def press_power_button(self) -> None: ...


def _power_cycle(machine: PowerButton) -> None:
    machine.power_off()
    machine.power_on()


def _force_restart(machine: PowerButton) -> None:
    """QEMU takes a boot order only when it starts: an override that waits for the next boot needs a new start."""
    if not machine.is_on:
        machine.power_on()
    elif machine.boot_override == BootOverride():
        machine.reset()
    else:
        _power_cycle(machine)


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


Act = Callable[[PowerButton], None]
FETCH_TIMEOUT_S = 60


def _resetting(body: bytes) -> Act:
    """What a reset asks for. Raises `ValueError`."""
    try:
        return RESETS[json.loads(body)["ResetType"]]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"ResetType must be one of {', '.join(RESETS)}") from None


def _inserting(body: bytes) -> Act:
    """Fetch a disc, and put it into the drive. Raises `ValueError`."""
    match json.loads(body):
        case {"Image": str(url)} if url.startswith("http://"):
            pass
        case _:
            raise ValueError("Image must be an http:// URL")

    def act(machine: PowerButton) -> None:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as content:  # noqa: S310 - http alone, see above
            machine.insert(url, content)

    return act


def _ejecting(machine: PowerButton) -> None:
    machine.eject()


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
        """The service root is for everybody, as the standard wants it."""
        if self._path != ROOT and self._is_stranger():
            return
        with self.server.lock:
            found = self._documents()
            if not self._is_elsewhere(found):
                self._answer(HTTPStatus.OK, found[self._path])

    def do_POST(self) -> None:
        """Actions: of the power, and of the drive if there is one."""
        body, machine = self._body(), self.server.machine
        actions: dict[str, Callable[[bytes], Act]] = {reset_path(machine.spec): _resetting}
        if machine.spec.virtual_cd:
            actions |= {insert_path(machine.spec): _inserting, eject_path(machine.spec): lambda _: _ejecting}
        if self._is_stranger() or self._is_elsewhere(actions):
            return
        try:
            act = actions[self._path](body)
        except ValueError as error:
            self._fault(HTTPStatus.BAD_REQUEST, str(error))
            return
        with self.server.lock:
            try:
                act(machine)
            except (LabFault, OSError) as error:
                self._fault(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
                return
        self._answer(HTTPStatus.NO_CONTENT)

    def do_PATCH(self) -> None:
        """The boot order of the next start."""
        body = self._body()
        machine = self.server.machine
        if self._is_stranger() or self._is_elsewhere([system_path(machine.spec)]):
            return
        with self.server.lock:
            try:
                machine.boot_override = machine.boot_override.changed(_only_boot(body))
            except ValueError as error:  # of JSON, of pydantic, our own
                self._fault(HTTPStatus.BAD_REQUEST, str(error))
                return
            self._answer(HTTPStatus.OK, self._documents()[self._path])

    @property
    def _path(self) -> str:
        return self.path.rstrip("/")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _documents(self) -> dict[str, Document]:
        machine = self.server.machine
        return documents(
            machine.spec, is_on=machine.is_on, override=machine.boot_override, resets=RESETS, disc=machine.disc
        )

    def _is_stranger(self) -> bool:
        """Whether who asks may not; it is answered then."""
        given = self.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, self.server.credentials):
            return False
        self._fault(HTTPStatus.UNAUTHORIZED, "wrong user or password")
        return True

    def _is_elsewhere(self, paths: Container[str]) -> bool:
        """Whether the request is for none of these; it is answered then."""
        if self._path in paths:
            return False
        self._fault(HTTPStatus.NOT_FOUND, f"there is no {self.path}")
        return True

    def _fault(self, status: HTTPStatus, text: str) -> None:
        self._answer(status, {"error": {"code": "Base.1.0.GeneralError", "message": text}})

    def _answer(self, status: HTTPStatus, resource: Document | None = None) -> None:
        body = b"" if resource is None else json.dumps(resource).encode()
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="bmc"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _only_boot(body: bytes) -> dict[str, object]:
    """The Boot object of a PATCH, which may hold nothing else. Raises `ValueError`."""
    match json.loads(body):
        case {"Boot": dict(boot), **others} if not others:
            return boot
    raise ValueError("only Boot can be changed")


def main() -> None:
    """Serve the machine of the folder that is named on the command line."""
    folder, password_file = map(Path, sys.argv[1:])
    Bmc(("", PORT), Machine(folder), USER, password_file.read_text()).serve_forever()


if __name__ == "__main__":
    main()
