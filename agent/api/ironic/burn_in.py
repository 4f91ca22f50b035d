# SPDX-License-Identifier: Apache-2.0
"""Ironic's burn-in steps into requests of ours. Pure; the settings are ironic-python-agent's (its burnin.py), in the
node's `driver_info`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from agent.api.ironic.raid import array_names
from agent.api.ironic.translate import shared_too, skipped
from agent.errors import InputError
from agent.model.burn_in import Part
from agent.model.frozen import faults
from agent.model.ironic.wire import Node
from agent.model.request import BurnInRequest

UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "y": 365 * 86400}
UNITS_BYTES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z%]?)")
PAIRING = "agent_burnin_fio_network_pairing_backend_url"
Settings = dict[str, Any]


def burn_in_request(request_id: str, node: Node, part: Part, *, guards: bool) -> BurnInRequest:
    """Of step `burnin_cpu`, `burnin_memory` … Raises `InputError`, which names the setting."""
    info = node.driver_info
    doing = f"reading the settings of burnin_{part}"
    prefix = PREFIXES[part]
    try:
        return BurnInRequest.model_validate(
            {
                "request_id": request_id,
                "node_id": node.uuid,
                "loads": ({"part": part, **LOADS[part](info)},),
                "skip": skipped(node),
                "keep_arrays": array_names(node),
                "shared_too": shared_too(node, guards=guards),
                "output": info.get(f"{prefix}outputfile"),
            }
        )
    except ValidationError as error:
        raise InputError(doing, faults(error)) from None


def cpu(info: Settings) -> Settings:
    """stress-ng's words: how many workers, for how long."""
    return given(
        workers=whole(info, "agent_burnin_cpu_cpu"),
        seconds=seconds(info, "agent_burnin_cpu_timeout"),
    )


def memory(info: Settings) -> Settings:
    """An amount is percent of what is available, or bytes, of all workers together."""
    key = "agent_burnin_vm_vm-bytes"
    found: Settings = {}
    if info.get(key) is not None:
        amount, unit = split(info, key)
        if unit != "%" and unit not in UNITS_BYTES:
            raise InputError(f"reading {key}", f"{info[key]!r} is neither percent nor bytes")
        found = {"percent": amount} if unit == "%" else {"percent": None, "size_bytes": int(amount * UNITS_BYTES[unit])}
    return {
        **given(
            workers=whole(info, "agent_burnin_vm_vm"),
            seconds=seconds(info, "agent_burnin_vm_timeout"),
        ),
        **found,
    }


def disk(info: Settings) -> Settings:
    """fio's words: loops, or a time limit."""
    if info.get("agent_burnin_fio_disk_smart_test"):
        raise InputError(
            "reading agent_burnin_fio_disk_smart_test",
            "the drives' own long tests are not started by this agent",
            hint="Set it to False: every block is written, read back and compared without it.",
        )
    return given(
        loops=whole(info, "agent_burnin_fio_disk_loops"),
        seconds=seconds(info, "agent_burnin_fio_disk_runtime"),
    )


def network(info: Settings) -> Settings:
    """Pairs are told; finding one by a coordination service is not supported, and said so."""
    config = info.get("agent_burnin_fio_network_config")
    doing = "reading agent_burnin_fio_network_config"
    if not config:
        told = (
            f"there is none, and dynamic pairing ({PAIRING}) is not supported" if info.get(PAIRING) else "there is none"
        )
        raise InputError(doing, told, hint='Name role and partner: {"role": "writer", "partner": "10.0.0.2"}.')
    if not isinstance(config, dict):
        raise InputError(doing, "it is no object with role and partner")
    return {
        "role": config.get("role"),
        "partner": config.get("partner"),
        **given(
            seconds=seconds(info, "agent_burnin_fio_network_runtime"),
            patience_s=seconds(info, "agent_burnin_fio_network_pairing_timeout"),
        ),
    }


def gpu(info: Settings) -> Settings:
    """gpu-burn's words."""
    return given(
        directory=info.get("agent_burnin_gpu_install_dir"),
        seconds=seconds(info, "agent_burnin_gpu_timeout"),
        memory=None if info.get("agent_burnin_gpu_memory") is None else str(info["agent_burnin_gpu_memory"]),
        count=whole(info, "agent_burnin_gpu_count"),
    )


LOADS: dict[Part, Callable[[Settings], Settings]] = {
    "cpu": cpu,
    "memory": memory,
    "disk": disk,
    "network": network,
    "gpu": gpu,
}
PREFIXES: dict[Part, str] = {
    "cpu": "agent_burnin_cpu_",
    "memory": "agent_burnin_vm_",
    "disk": "agent_burnin_fio_disk_",
    "network": "agent_burnin_fio_network_",
    "gpu": "agent_burnin_gpu_",
}


def given(**settings: Any) -> Settings:
    """Those that somebody has set; the others have their defaults, which are IPA's."""
    return {name: value for name, value in settings.items() if value is not None}


def whole(info: Settings, key: str) -> int | None:
    """A number. Raises `InputError`."""
    if info.get(key) is None:
        return None
    amount, unit = split(info, key)
    if unit or amount != int(amount):
        raise InputError(f"reading {key}", f"{info[key]!r} is no whole number")
    return int(amount)


def seconds(info: Settings, key: str) -> int | None:
    """A time: seconds, or with a unit as both tools take it. Raises `InputError`."""
    if info.get(key) is None:
        return None
    amount, unit = split(info, key)
    if unit not in UNITS_S:
        raise InputError(f"reading {key}", f"{info[key]!r} is no time: {', '.join(filter(None, UNITS_S))}")
    return int(amount * UNITS_S[unit])


def split(info: Settings, key: str) -> tuple[float, str]:
    """A number and its unit. Raises `InputError`."""
    found = None if isinstance(info[key], bool) else AMOUNT.fullmatch(str(info[key]).strip().lower())
    if found is None:
        raise InputError(f"reading {key}", f"{info[key]!r} is no number")
    return float(found[1]), found[2]
