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
from lab.machine import PATIENT
from lab.network import CONTROLLER_URL

# pip puts the project's commands beside the Python that it installed them for
BMS_AGENT, BMSCTL = (str(Path(sys.executable).with_name(name)) for name in ("bms-agent", "bmsctl"))
LISTEN = "0.0.0.0:8480"
HEALTH_TIMEOUT_S = 2
ANSWER_TIMEOUT_S = 120.0


def healthy() -> bool:
    """Whether it answers; asked from inside the namespace."""
    try:
        with urllib.request.urlopen(f"{CONTROLLER_URL}/healthz", timeout=HEALTH_TIMEOUT_S) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


class Controller:
    """`bms-agent controller` with its data in a folder, so that it can be killed and started again."""

    # iPXE expands ${netX/mac} itself: netX is the interface that it booted from.
    boot_script = f"{CONTROLLER_URL}/boot/ipxe?mac=${{netX/mac}}"

    def __init__(self, data: Path, ramdisk: Path, log: Path) -> None:
        self.data = data
        self.log = log
        argv = [BMS_AGENT, "controller", "--listen", LISTEN, "--data", str(data), "--kernel-options", PATIENT]
        self.daemon = Daemon([*argv, "--ramdisk", str(ramdisk), "--url", CONTROLLER_URL, "--enrolment", "auto"], log)

    def start(self) -> None:
        self.data.mkdir(exist_ok=True)
        self.daemon.start(healthy)

    def stop(self) -> None:
        self.daemon.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What bmsctl has to know."""
        return {"BMSCTL_URL": CONTROLLER_URL, "BMSCTL_TOKEN_FILE": str(self.data / "admin-token")}

    def ask(self, *words: str) -> Any:
        """Run `bmsctl … --json` and decode its answer."""
        done = subprocess.run(
            [BMSCTL, *words, "--json"],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=ANSWER_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise LabFault(f"running bmsctl {' '.join(words)}:\n{done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def show(self, *words: str, timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        """Run `bmsctl …` for the person at the terminal, who sees its progress, its tables and its errors."""
        try:
            done = subprocess.run([BMSCTL, *words], env=os.environ | self.environment, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise LabFault(f"running bmsctl {' '.join(words)}: not done within {timeout_s:.0f} seconds") from error
        if done.returncode:
            raise LabFault(f"running bmsctl {' '.join(words)}: it ended with status {done.returncode}")
