# SPDX-License-Identifier: Apache-2.0
"""Loading GPUs: by gpu-burn, which needs its vendor's driver. Our ramdisk has neither; an operator's own may."""

from __future__ import annotations

from agent.apply.burn_in.course import Course
from agent.errors import BurnInFailed, ToolMissing
from agent.host.doors import Host
from agent.model.burn_in import GpuLoad, Verdict

GRACE_S = 600.0


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
    host.run([*inside(load), "./gpu_burn", "-m", load.memory, str(load.seconds)], timeout_s=load.seconds + GRACE_S)
    return Verdict(part="gpu", state="passed", figures={"GPUs": count, "seconds": load.seconds})


def listed(host: Host, load: GpuLoad) -> list[str]:
    """A line for each GPU."""
    said = host.run([*inside(load), "./gpu_burn", "-l"]).stdout
    return [line for line in said.splitlines() if line.startswith("ID")]


def inside(load: GpuLoad) -> list[str]:
    """It looks for its kernels where it is started."""
    return ["env", f"--chdir={load.directory}"]
