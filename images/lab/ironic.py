# SPDX-License-Identifier: Apache-2.0
"""OpenStack Ironic as the lab's controller: API and conductor in one process, and the web server beside them.

What is set is what one conductor without Keystone, Neutron and Glance needs; all else is left as Ironic has it, since
that is what the ramdisk meets in production.
"""

from __future__ import annotations

import sys
import urllib.request
from configparser import RawConfigParser
from pathlib import Path

from lab.command import run
from lab.daemon import Daemon
from lab.machine import PATIENT
from lab.network import CONTROLLER_ADDRESS

API_URL = f"http://{CONTROLLER_ADDRESS}:6385"
FILES_PORT = 8088
FILES_URL = f"http://{CONTROLLER_ADDRESS}:{FILES_PORT}"
SYNC_TIMEOUT_S = 120.0
HEALTH_TIMEOUT_S = 5

Settings = dict[str, dict[str, str]]

INTERFACES = {
    "hardware_types": "redfish",
    "bios_interfaces": "no-bios",
    "boot_interfaces": "ipxe",
    "console_interfaces": "no-console",
    "deploy_interfaces": "direct,custom-agent,ramdisk",
    "firmware_interfaces": "no-firmware",
    "inspect_interfaces": "agent",
    "management_interfaces": "redfish",
    "network_interfaces": "noop",
    "power_interfaces": "redfish",
    "raid_interfaces": "agent",
    "rescue_interfaces": "agent",
    "storage_interfaces": "noop",
    "vendor_interfaces": "no-vendor",
}


def settings(data: Path, ramdisk: Path) -> Settings:
    """ironic.conf, by section; everything that Ironic keeps lies below `data`."""
    return {
        "DEFAULT": {
            "auth_strategy": "noauth",
            "debug": "true",
            "default_log_levels": "futurist=INFO,oslo=INFO,stevedore=INFO,sqlalchemy=WARNING,urllib3=INFO",
            "host": "lab",
            "my_ip": CONTROLLER_ADDRESS,
            "rpc_transport": "none",
            "state_path": f"{data}",
            "tempdir": f"{data}/scratch",
            "default_deploy_interface": "direct",
            **{f"enabled_{kind}": names for kind, names in INTERFACES.items()},
        },
        "agent": {
            "certificates_path": f"{data}/certificates",
            "deploy_logs_local_path": f"{data}/ramdisk-logs",
            "image_download_source": "http",
        },
        "api": {"host_ip": CONTROLLER_ADDRESS},
        "conductor": {
            "automated_clean": "true",
            "deploy_kernel": f"file://{ramdisk}/vmlinuz",
            "deploy_ramdisk": f"file://{ramdisk}/initrd",
            "rescue_kernel": f"file://{ramdisk}/vmlinuz",
            "rescue_ramdisk": f"file://{ramdisk}/initrd",
            "file_url_allowed_paths": f"{ramdisk}",
        },
        "database": {"connection": f"sqlite:///{data}/ironic.sqlite"},
        # what is common in production, too: an erasure of every disk takes hours there, and its minutes here
        "deploy": {
            "http_url": FILES_URL,
            "http_root": f"{data}/http",
            "iso_master_path": f"{data}/iso",
            "erase_devices_priority": "0",
            "erase_devices_metadata_priority": "10",
        },
        "dhcp": {"dhcp_provider": "none"},
        "inspector": {"hooks": "$default_hooks,memory,cpus,root-device,boot-mode"},
        "inventory": {"data_backend": "database"},
        "oslo_concurrency": {"lock_path": f"{data}/locks"},
        "pxe": {
            "images_path": f"{data}/images",
            "instance_master_path": f"{data}/instances",
            "kernel_append_params": f"nofb vga=normal console=ttyS0 {PATIENT}",
            "tftp_root": f"{data}/tftp",
            "tftp_master_path": f"{data}/tftp-master",
        },
        "service_catalog": {"auth_type": "none", "endpoint_override": API_URL},
    }


def ending(log: Path, lines: int) -> str:
    """The end of Ironic's log, without those who only looked at a node."""
    telling = [line for line in log.read_text(errors="replace").splitlines() if "- GET /v1/nodes/" not in line]
    return "\n".join(telling[-lines:])


def healthy() -> bool:
    """Whether it answers, and its conductor is there; asked from inside the namespace."""
    try:
        with urllib.request.urlopen(f"{API_URL}/v1/drivers", timeout=HEALTH_TIMEOUT_S) as answer:  # noqa: S310
            return b'"redfish"' in answer.read()
    except OSError:
        return False


class Ironic:
    """Its processes, with their data and logs in the lab's folder. `home` is its virtual environment; `changes` are
    settings that are to be others.
    """

    boot_script = f"{FILES_URL}/boot.ipxe"

    def __init__(self, folder: Path, home: Path, ramdisk: Path, changes: Settings | None = None) -> None:
        self.data = folder / "ironic"
        self.served = self.data / "http"
        self.log = folder / "ironic.log"
        self.ramdisk_logs = self.data / "ramdisk-logs"
        self._ramdisk = ramdisk
        self._changes = changes or {}
        self._config = self.data / "ironic.conf"
        self._python = [str(home / "bin" / "python"), "-P"]
        self._home = home
        self._ironic = Daemon(self._command("ironic"), self.log)
        argv = [sys.executable, "-m", "lab.files", str(self.served), str(FILES_PORT)]
        self._files = Daemon(argv, folder / "files.log", {"PYTHONPATH": str(Path(__file__).parents[1])})

    def start(self) -> None:
        """The first time with an empty database."""
        if not self.data.exists():
            for name in ("http", "scratch", "tftp", "images"):
                (self.data / name).mkdir(parents=True)
            self._configure()
            run(self._command("ironic-dbsync", "create_schema"), SYNC_TIMEOUT_S)
        self._files.start()
        self._ironic.start(healthy)

    def stop(self) -> None:
        for daemon in (self._ironic, self._files):
            daemon.stop()

    def _configure(self) -> None:
        config = RawConfigParser()
        config.optionxform = str  # type: ignore[assignment,method-assign]
        config.read_dict(settings(self.data, self._ramdisk))
        config.read_dict(self._changes)
        with self._config.open("w") as file:
            config.write(file)

    def _command(self, name: str, *words: str) -> list[str]:
        """One of Ironic's commands, by its Python: the environment was moved, and their first lines are wrong."""
        return [*self._python, str(self._home / "bin" / name), "--config-file", str(self._config), *words]
