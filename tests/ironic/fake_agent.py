# SPDX-License-Identifier: Apache-2.0
"""An agent that does nothing, in the words of ironic-python-agent: what Ironic must be content with.

It shows that the lab's Ironic works without any ramdisk of ours. Commands that are known are answered as done at once.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from json import dumps, loads
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.daemon import wait_until

TIMEOUT_S = 30
BEAT_S = 0.5
VERSIONS = {"hardware_manager_version": {"fake": "1"}}


def inventory(mac: str) -> dict[str, Any]:
    """The body of an inspection: as little as Ironic's hooks need."""
    disk = {"name": "/dev/sda", "model": "FAKE", "size": 5 << 30, "rotational": False, "wwn": None, "serial": "S1"}
    disk |= {"wwn_with_extension": None, "wwn_vendor_extension": None, "vendor": None, "hctl": None, "by_path": None}
    nic = {"name": "eno1", "mac_address": mac, "ipv4_address": "192.168.100.1", "has_carrier": True, "lldp": None}
    return {
        "inventory": {
            "interfaces": [nic],
            "cpu": {"model_name": "Fake", "frequency": "2000", "count": 4, "architecture": "x86_64", "flags": []},
            "disks": [disk],
            "memory": {"total": 4 << 30, "physical_mb": 4096},
            "system_vendor": {"product_name": "BM", "serial_number": "1", "manufacturer": "Fake"},
            "boot": {"current_boot_mode": "uefi", "pxe_interface": mac},
            "hostname": "localhost",
        },
        "root_disk": disk,
        "boot_interface": mac,
        "configuration": {"collectors": ["default"], "managers": [{"name": "fake", "version": "1"}]},
        "error": None,
    }


def certificate(address: str, folder: Path) -> tuple[Path, str]:
    """A key and a certificate for that address in one file, and the certificate."""
    day, now = timedelta(days=1), datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "agent.pem").write_bytes(secret + pem)
    return folder / "agent.pem", pem.decode()


class FakeAgent(ThreadingHTTPServer):
    """The agent's API over TLS 1.3; `commands` is the list that Ironic reads."""

    daemon_threads = True

    def __init__(self, address: str, folder: Path) -> None:
        super().__init__((address, 0), _Handler)
        pair, self.pem = certificate(address, folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(pair)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.callback_url = f"https://{address}:{self.server_address[1]}"
        self.token = ""
        self.commands: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="fake agent")

    def __enter__(self) -> FakeAgent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def names(self) -> list[str]:
        """The commands so far."""
        return [command["command_name"] for command in self.commands]

    def inspect(self, callback: str, mac: str) -> str:
        """Post what was found; the node's UUID."""
        answer = requests.post(callback, json=inventory(mac), timeout=TIMEOUT_S)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["uuid"])

    def look_up(self, api: str, mac: str) -> str:
        """Who am I; the node's UUID. The token comes once."""
        headers = {"X-OpenStack-Ironic-API-Version": "1.68"}
        answer = requests.get(f"{api}/v1/lookup", params={"addresses": mac}, headers=headers, timeout=TIMEOUT_S)
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["config"]["agent_token"]
        return str(answer.json()["node"]["uuid"])

    def beat_until(self, api: str, node: str, happened: Callable[[], bool]) -> None:
        """Heartbeats until that has happened: Ironic drops those for which it has no time."""

        def looked() -> bool:
            self._beat(api, node)
            return happened()

        wait_until("Ironic to do what heartbeats make it do", looked, TIMEOUT_S, BEAT_S)

    def _beat(self, api: str, node: str) -> None:
        headers = {"X-OpenStack-Ironic-API-Version": "1.68"}
        body = {"callback_url": self.callback_url, "agent_token": self.token, "agent_version": "13.0.0"}
        body["agent_verify_ca"] = self.pem
        answer = requests.post(f"{api}/v1/heartbeat/{node}", json=body, headers=headers, timeout=TIMEOUT_S)
        # 409: it is busy; 400: it has just switched the machine off, and forgotten the token
        assert answer.status_code in {202, 400, 409}, answer.text

    def run(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Done at once, and on the list."""
        short = name.partition(".")[2]
        done = {"id": str(uuid4()), "command_name": short, "command_status": "SUCCEEDED", "command_error": None}
        done["command_result"] = _result(short, params)
        self.commands.append(done)
        return done


def _result(name: str, params: dict[str, Any]) -> Any:
    match name:
        case "get_clean_steps":
            step = {"step": "erase_devices_metadata", "priority": 99, "interface": "deploy", "reboot_requested": False}
            return {"clean_steps": {"fake": [step]}, **VERSIONS}
        case "execute_clean_step":
            return {"clean_result": None, "clean_step": params["step"]}
        case _:
            raise AssertionError(f"not expected here: {name}")


class _Handler(BaseHTTPRequestHandler):
    server: FakeAgent

    def do_GET(self) -> None:
        self._answer({"commands": self.server.commands})

    def do_POST(self) -> None:
        asked = loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(self.server.run(asked["name"], asked["params"]))

    def _answer(self, document: Any) -> None:
        given = parse_qs(urlsplit(self.path).query).get("agent_token", [""])[0]
        status = 200 if given == self.server.token else 401
        body = dumps(document if status == 200 else {"faultstring": "Token invalid."}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""
