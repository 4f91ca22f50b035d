# SPDX-License-Identifier: Apache-2.0
"""Loading GPUs: by gpu-burn, which needs its vendor's driver. Our ramdisk has neither; an operator's own may."""

from __future__ import annotations

import re

from agent.apply.burn_in.course import Course
from agent.errors import BurnInFailed, ToolMissing
from agent.host.doors import Host
from agent.model.burn_in import GpuLoad, Verdict

GRACE_S = 600.0
VERDICT = re.compile(r"^\s*GPU ([0-9]+): (\S+)", re.MULTILINE)
"""gpu-burn's last lines (gpu_burn-drv.cpp, `listenClients`)."""
DIED = "(DIED!)"


def burn_gpu(host: Host, load: GpuLoad, course: Course) -> Verdict:
    """Raises `ToolMissing`, `BurnInFailed`, `CommandFailed`."""
    tool = f"{load.directory}/gpu_burn"
    if not host.files.exists(tool):
        raise ToolMissing(
            "loading the GPUs",
            f"there is no {tool}",
            hint="Build a ramdisk with gpu-burn and the GPU's driver; agent_burnin_gpu_install_dir says where it is.",
        )
    count = len(listed(host, load))
    if load.count and count != load.count:
        raise BurnInFailed("counting the GPUs", f"{count} are there, and {load.count} are expected")
    course.tell(f"gpu, for {load.seconds} s")
    argv = [*inside(load), "./gpu_burn", "-m", load.memory, str(load.seconds)]
    said = host.run(argv, timeout_s=load.seconds + GRACE_S).stdout
    must_be_sound(said, count)
    return Verdict(part="gpu", state="passed", figures={"GPUs": count, "seconds": load.seconds})


def must_be_sound(said: str, count: int) -> None:
    """gpu-burn's exit status is 0 whatever it found: it only says so. Raises `BurnInFailed`."""
    verdicts = dict(VERDICT.findall(said))
    bad = [f"GPU {number} is {verdict}" for number, verdict in verdicts.items() if verdict != "OK"]
    bad += ["a GPU stopped in the middle of it"] if DIED in said else []
    bad += [f"it judged {len(verdicts)} of {count} GPUs"] if not verdicts or len(verdicts) < count else []
    if bad:
        raise BurnInFailed("loading the GPUs", ", ".join(bad))


def listed(host: Host, load: GpuLoad) -> list[str]:
    """A line for each GPU."""
    said = host.run([*inside(load), "./gpu_burn", "-l"]).stdout
    return [line for line in said.splitlines() if line.startswith("ID")]


def inside(load: GpuLoad) -> list[str]:
    """It looks for its kernels where it is started."""
    return ["env", f"--chdir={load.directory}"]
