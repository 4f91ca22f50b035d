# SPDX-License-Identifier: Apache-2.0
"""What controllers ordered, as they sent it. An order that an agent of its time does not know is not in its ledger."""

from __future__ import annotations

from typing import Any

ORDER = {"request_id": "r-1", "node_id": "node-1"}
IMAGE = {"url": "http://images.example/debian.raw.zst", "format": "raw.zst", "sha256": "ab" * 32, "size_bytes": 1 << 31}
CHUNKED = {"url": "http://images.example/debian.bmi", "format": "chunked", "sha256": "cd" * 32,
           "mirrors": ["https://mirror.example/debian.bmi"], "access": {"bearer": "t0ken"}}  # fmt: skip
DRIVE = {"files": {"openstack/latest/meta_data.json": "e30="}}
LINKS: list[dict[str, Any]] = [
    {"kind": "ethernet", "name": "eth0", "mac": "52:54:00:00:00:01", "mtu": 1500, "addresses": ["10.0.0.2/24"]},
    {"kind": "ethernet", "name": "eth1", "mac": "52:54:00:00:00:02", "dhcp4": True, "dhcp6": False},
    {"kind": "vlan", "name": "eth0.7", "parent": "eth0", "vlan_id": 7, "addresses": ["fd00::2/64"]},
]
REQUESTS: list[dict[str, Any]] = [
    ORDER | {"verb": "image.deploy", "image": IMAGE, "root_device": {"serial": "S1"}, "config_drive": DRIVE},
    ORDER | {"verb": "image.deploy", "image": CHUNKED, "root_device": {"wwn": "0x5", "size_gb": ">= 400"},
             "overwrite": True, "verify": True, "reboot": False},
    ORDER | {"verb": "image.deploy", "image": IMAGE, "root_device": {"specs": {"serial": "S1"}},
             "skip": [{"specs": {"name": "/dev/sdb"}}], "layout": {"root_mib": 4096, "swap_mib": 512, "esp_mib": 550}},
    ORDER | {"verb": "disk.erase"},
    ORDER | {"verb": "disk.erase", "method": "zero", "serials": ["S1", "0x5"]},
    ORDER | {"verb": "disk.erase", "method": "metadata", "keep_arrays": ["root"], "strict": True, "at_once": 2},
    ORDER | {"verb": "disk.erase", "method": "express", "leave_read_only": True},
    ORDER | {"verb": "raid.create", "logical_disks": [{"size_gb": 100, "raid_level": "1", "volume_name": "root"}]},
    ORDER | {"verb": "raid.delete"},
    ORDER | {"verb": "boot.select", "root_device": {"serial": "S1"}},
    ORDER | {"verb": "boot.forget", "match_patterns": ["shim.*"]},
    ORDER | {"verb": "image.capture", "disk": {"serial": "S1"}, "to": "https://images.example/new.bmi", "level": 3},
    ORDER | {"verb": "image.capture", "to": "https://images.example/new.bmi", "generalise": False, "force": True},
    ORDER | {"verb": "pstore.erase"},
    ORDER | {"verb": "disk.inject", "root_device": {"serial": "S1"},
             "files": [{"path": "/etc/motd", "content": "aA=="}]},
    ORDER | {"verb": "hardware.burn_in", "loads": [{"part": "cpu"}, {"part": "disk", "loops": 2}]},
    ORDER | {"verb": "hardware.validate"},
    ORDER | {"verb": "power.reboot"},
    ORDER | {"verb": "power.off"},
]  # fmt: skip
