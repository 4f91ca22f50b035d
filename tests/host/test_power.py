# SPDX-License-Identifier: Apache-2.0
"""The end of a boot: by systemd, or by the kernel itself."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from agent.host.fake import FakeHost
from agent.host.power import POWER_OFF, RESTART, RealPower


def test_systemd_is_asked_where_it_runs() -> None:
    """Where systemd runs, it gets the order, so that services stop in order; the call does not wait for the end."""
    host = FakeHost.with_files({"/run/systemd/system/unit": ""})
    power = RealPower(host.run, host.files)
    power.reboot()
    power.power_off()

    assert host.machine.commands == [("systemctl", "--no-block", "reboot"), ("systemctl", "--no-block", "poweroff")]


@pytest.mark.root
@pytest.mark.parametrize(("command", "ended_by"), [(RESTART, signal.SIGHUP), (POWER_OFF, signal.SIGINT)])
def test_kernel_takes_the_order(command: int, ended_by: signal.Signals) -> None:
    """reboot(2) gets the right number: in a PID namespace of its own it ends init with a signal that tells which."""
    order = (
        "import os; from agent.host.power import order_kernel\n"
        f"os.getpid() == 1 or os._exit(99)\norder_kernel('x', {command})"
    )
    done = subprocess.run(["unshare", "--pid", "--fork", sys.executable, "-c", order], check=False, timeout=60)

    assert done.returncode == -ended_by
