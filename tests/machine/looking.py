# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest: looks at its hardware by our inventory and by everybody's tools, and prints what each said, as JSON.

looking.py TOOLS: where a Debian with the tools is mounted.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

from agent.host.doors import Host
from agent.host.real import host as open_host
from agent.inventory.hardware import take_in_full

BEGIN, END = "<looked<", ">looked>"
LISTEN_S, ROUNDS = 6, 3
SERVED = "/run/served.json"
SPEAKER = "52:54:00:00:00:22"
ANNOUNCED = bytes.fromhex("0180c200000e" + SPEAKER.replace(":", "") + "88cc") + bytes.fromhex(
    "0207045254000000aa" "040805" + b"port/24".hex() + "06020078" "0a06" + b"switch".hex() + "fe060080c2010007" "0000"
)  # fmt: skip
LSBLK = "NAME,SIZE,SERIAL,WWN,MODEL,TRAN,ROTA,LOG-SEC,PHY-SEC,REV,PTTYPE,FSTYPE,HCTL,TYPE,RO"


def commands(nics: list[str]) -> dict[str, list[str]]:
    """What is asked of whom."""
    return {
        "lscpu": ["lscpu", "--json"],
        "lscpu-caches": ["lscpu", "--caches=NAME,ONE-SIZE,ALL-SIZE,WAYS", "--bytes", "--json"],
        "dmidecode": ["dmidecode", "-t", "0,1,16,17"],
        "lsblk": ["lsblk", "--json", "--bytes", "--output", LSBLK],
        "lspci": ["lspci", "-Dvmmnk"],
        "lspci-links": ["lspci", "-Dvvn"],
        "nvme-ctrl": ["nvme", "id-ctrl", "/dev/nvme0", "-o", "json"],
        "nvme-ns": ["nvme", "id-ns", "/dev/nvme0n1", "-o", "json"],
        "nvme-list": ["nvme", "list-ns", "/dev/nvme0", "-o", "json"],
        "nvme-smart": ["nvme", "smart-log", "/dev/nvme0", "-o", "json"],
        "smartctl": ["smartctl", "-j", "-a", f"/dev/{sata()}"],
        **{f"driver {name}": ["ethtool", "-i", name] for name in nics},
        **{f"permanent {name}": ["ethtool", "-P", name] for name in nics},
        **{f"link {name}": ["ethtool", name] for name in nics},
    }


def sata() -> str:
    """The disk on AHCI."""
    disks = Path("/sys/block").iterdir()
    return next((each.name for each in disks if "/ata" in str(each.resolve())), "none")


def said(tools: str, argv: list[str]) -> str:
    """What a tool says; what it cannot say, too."""
    done = subprocess.run(["chroot", tools, *argv], capture_output=True, text=True, check=False, timeout=240)
    return done.stdout or done.stderr


def announce(stop: Event) -> None:
    """Be a switch, at the other end of a cable."""
    links = Path("/sys/class/net").iterdir()
    name = next(each.name for each in links if (each / "address").read_text().strip() == SPEAKER)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as talk:
        talk.bind((name, 0))
        while not stop.wait(0.3):
            talk.send(ANNOUNCED)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds, of this process and of those that it waits for."""
    begun, used = time.monotonic(), os.times()
    work()
    now = os.times()
    return sum(now[:4]) - sum(used[:4]), time.monotonic() - begun


def costs(doors: Host, tools: str) -> dict[str, list[tuple[float, float]]]:
    """By turns, so that a busy machine is busy for all; the agent that runs took one before."""

    def run(argv: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(argv, capture_output=True, check=True, timeout=240)

    asked: dict[str, Callable[[], object]] = {
        "agent": lambda: take_in_full(doors),
        "command": run(["bms-agent", "inventory", "--json"]),
        "lshw": run(["chroot", tools, "lshw", "-json"]),
    }
    rounds = [{name: timed(work) for name, work in asked.items()} for _ in range(ROUNDS)]
    return {name: [one[name] for one in rounds] for name in asked}


def udev() -> dict[str, dict[str, str]]:
    """What udev's own program says of block devices."""
    said = subprocess.run(["udevadm", "info", "--export-db"], capture_output=True, text=True, check=True, timeout=240)
    rows = [[line[3:] for line in text.splitlines() if line.startswith("E: ")] for text in said.stdout.split("\n\n")]
    every = [{key: value for key, _, value in (line.partition("=") for line in row)} for row in rows]
    return {one["DEVPATH"].rpartition("/")[2]: one for one in every if one.get("SUBSYSTEM") == "block"}


def main() -> None:
    """All of it."""
    tools = sys.argv[1]
    nics = sorted(each.name for each in Path("/sys/class/net").iterdir() if (each / "device").exists())
    for name in nics:
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    time.sleep(4)
    stop = Event()
    switch = Thread(target=announce, args=(stop,), daemon=True)
    switch.start()
    doors = open_host()
    found = take_in_full(doors, listen_s=LISTEN_S)
    stop.set()
    switch.join()
    took = costs(doors, tools)
    subprocess.run(["systemctl", "daemon-reload"], check=True, timeout=240)
    subprocess.run(["systemctl", "start", "looking.service"], check=True, timeout=240)
    told: dict[str, Any] = {"found": found.model_dump(mode="json"), "took": took}
    told["udev"] = udev()
    told["own udev"] = {name: dict(one) for name, one in doors.udev.block_devices().items()}
    told["served"] = json.loads(Path(SERVED).read_text())
    told |= {name: said(tools, argv) for name, argv in commands(nics).items()}
    packed = base64.b64encode(zlib.compress(json.dumps(told).encode())).decode()
    os.write(1, f"{BEGIN}{packed}{END}\n".encode())


def unpacked(console: str) -> dict[str, object]:
    """What was printed."""
    packed = console.partition(BEGIN)[2].partition(END)[0]
    told: dict[str, object] = json.loads(zlib.decompress(base64.b64decode("".join(packed.split()))))
    return told


if __name__ == "__main__":
    main()
