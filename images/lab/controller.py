# SPDX-License-Identifier: Apache-2.0
"""The embedded controller as a process of the lab, and the operator's and user's command `bmsctl` against it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from lab.daemon import Daemon
from lab.fault import LabFault
from lab.network import CONTROLLER_URL

COMMANDS = Path(sys.executable).parent  # where pip puts bms-agent and bmsctl beside its Python
LISTEN = "0.0.0.0:8480"
HEALTH_TIMEOUT_S = 2
BMSCTL_TIMEOUT_S = 120


def healthy() -> bool:
    """Whether it answers; asked from inside the namespace."""
    try:
        with urllib.request.urlopen(f"{CONTROLLER_URL}/healthz", timeout=HEALTH_TIMEOUT_S) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


class Controller:
    """`bms-agent controller` with its data in a folder, so that it can be killed and started again."""

    def __init__(self, data: Path, ramdisk: Path, log: Path) -> None:
        self.data = data
        argv = [str(COMMANDS / "bms-agent"), "controller", "--listen", LISTEN, "--data", str(data)]
        self.daemon = Daemon([*argv, "--ramdisk", str(ramdisk), "--url", CONTROLLER_URL], log)

    def start(self) -> None:
        self.data.mkdir(exist_ok=True)
        self.daemon.start(healthy)

    @property
    def environment(self) -> dict[str, str]:
        """What bmsctl needs to know."""
        return {"BMSCTL_URL": CONTROLLER_URL, "BMSCTL_TOKEN": (self.data / "admin-token").read_text().strip()}

    def bmsctl(self, *words: str) -> Any:
        """Run `bmsctl` and decode its answer."""
        argv = [str(COMMANDS / "bmsctl"), *words, "--json"]
        done = subprocess.run(
            argv,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=BMSCTL_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise LabFault(f"running bmsctl {' '.join(words)}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def bmsctl_shown(self, *words: str, timeout_s: float) -> None:
        """Run `bmsctl` for the person at the terminal: its own progress and its own error."""
        argv = [str(COMMANDS / "bmsctl"), *words]
        try:
            done = subprocess.run(argv, env=os.environ | self.environment, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise LabFault(f"running bmsctl {' '.join(words)}: not done within {timeout_s:.0f} seconds") from error
        if done.returncode:
            raise LabFault(f"running bmsctl {' '.join(words)}: it ended with status {done.returncode}")
