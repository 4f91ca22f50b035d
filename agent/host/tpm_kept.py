# SPDX-License-Identifier: Apache-2.0
"""What an owner has left in a TPM: persistent keys and indices. Their passwords may be empty, as the owner's may."""

from __future__ import annotations

from agent.host.device_doors import Tpm
from agent.model.hardware.tpm import ask_public, handles, public
from agent.model.hardware.tpm_owner import PLATFORM_CREATED, ask_indices, ask_keys, owners_keys


def kept(door: Tpm) -> tuple[str, ...]:
    """What TPM2_Clear would take. Raises `DeviceError`, `DecodeError`."""
    found = list(owners_keys(door.ask(ask_keys())))
    for index in handles(door.ask(ask_indices())):
        told = public(door.ask(ask_public(index)))
        if told is not None and not told.attributes & PLATFORM_CREATED:
            found.append(f"index {index:#010x}")
    return tuple(found)
