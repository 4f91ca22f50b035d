# SPDX-License-Identifier: Apache-2.0
"""What a tenant may have left beside disks: boot entries, BootNext, the TPM's owner, virtual functions."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from agent.apply.leftovers import reset_platform
from agent.errors import DeviceError
from agent.host.fake import FakeHost, Machine
from agent.host.fake.efi import FakeEfi
from agent.host.fake.erasing import NvmeMind, ScsiMind
from agent.host.fake.files import FakeFiles
from agent.inventory import take
from agent.inventory.leftovers import leftovers
from agent.model.efi import decode_order
from agent.model.hardware.tpm import ask_public
from agent.model.hardware.tpm_owner import (
    LOCKOUT,
    PLATFORM,
    ask_indices,
    ask_keys,
    ask_permanent,
    clear,
    owned_by,
)
from agent.model.job import JobState
from agent.model.leftovers import ResetPlatform
from agent.model.network import Nic
from agent.model.request import EraseRequest
from agent.operations import Operations
from agent.plan.text import text
from tests.apply import test_boot
from tests.apply.erasable import certified, drive, machine, served
from tests.machines.firmware import ENTRY_POINT, firmware, product, table

DONE, AUTH_FAILED = bytes.fromhex("80010000000a00000000"), bytes.fromhex("80010000000a0000098e")
VFS = "/sys/class/net/eno1/device/sriov_numvfs"
PPI = "/sys/class/tpm/tpm0/ppi/request"


def permanent(flags: int) -> bytes:
    """As a TPM tells TPMA_PERMANENT: a response of a header, "no more", and one property."""
    body = struct.pack(">BIIII", 0, 6, 1, 0x200, flags)
    return struct.pack(">HII", 0x8001, 10 + len(body), 0) + body


def listed(*handles: int) -> bytes:
    """As a TPM lists handles."""
    body = struct.pack(f">BII{len(handles)}I", 0, 1, len(handles), *handles)
    return struct.pack(">HII", 0x8001, 10 + len(body), 0) + body


def index(attributes: int) -> bytes:
    """What it says of an index of 32 bytes: TPM2_NV_ReadPublic."""
    body = struct.pack(">HIHIHH", 14, 0x01800001, 0xB, attributes, 0, 32) + struct.pack(">H", 0)
    return struct.pack(">HII", 0x8001, 10 + len(body), 0) + body


EMPTY = {ask_keys(): listed(), ask_indices(): listed()}
KEPT = {
    ask_keys(): listed(0x81000001, 0x81010001, 0x81800000),
    ask_indices(): listed(0x01800001, 0x01C00002),
    ask_public(0x01800001): index(0x20040004),
    ask_public(0x01C00002): index(0x62072001),
}
"""A storage root, an endorsement key, the platform's key; an index of an owner's, and a certificate of the maker's."""


def rented(*, owners: int = 0b101, lockout: bytes = DONE, platform: bytes = AUTH_FAILED) -> Machine:
    """A machine as a tenant left it, who set passwords of its TPM."""
    made = machine()
    drive(made, NvmeMind)
    made.tree.put(VFS, b"4\n")
    made.tpm = {ask_permanent(): permanent(owners), clear(LOCKOUT): lockout, clear(PLATFORM): platform, **EMPTY}
    made.tpm_cleared = {ask_permanent(): permanent(0), **EMPTY}
    told = test_boot.ready(test_boot.FORGET).variables
    assert told is not None
    made.variables = {**told, "BootNext": b"\x03\0"}
    made.tree.put("/proc/sys/kernel/arch", b"x86_64\n")
    made.booted_tree = made.tree.copy()
    return made


def test_everything_is_undone() -> None:
    """After the disks: entries that lead to disks are gone and the others are in their order; nothing is ordered to be
    booted once; the TPM has no owner, the NIC no virtual functions; and the result says each.
    """
    made = rented()
    before = decode_order((made.variables or {})["BootOrder"])
    job = served(FakeHost.of(made), platform=True)
    left = made.variables or {}

    assert job.state is JobState.SUCCEEDED, job.fault
    assert "BootNext" not in left and len(decode_order(left["BootOrder"])) < len(before)
    assert owned_by((made.tpm or {})[ask_permanent()]) == () and made.tree.entries[VFS] == b"0"
    told = {"BootNext": "removed", "TPM": "cleared", "virtual functions of eno1": "removed"}
    assert told.items() <= job.result.items() and any(fact.startswith("forgot Boot") for fact in job.result)


def test_it_is_in_the_plan() -> None:
    """An operator reads beforehand what would be undone; without the word nothing of it is."""
    host = FakeHost.of(rented())
    operations = Operations(host, None, "/s")
    asked = [EraseRequest(request_id="r", node_id="n", platform=platform) for platform in (True, False)]
    plans = [operations.plan(one).steps for one in asked]

    assert [step.kind for step in plans[0]] == ["erase_disks", "forget_boot", "reset_platform"]
    assert [step.kind for step in plans[1]] == ["erase_disks"]
    shown = text(operations.plan(asked[0]))
    assert (
        "forget the boot that was ordered (BootNext); clear the TPM, in which an owner has left something; remove"
        in shown
    )


@pytest.mark.parametrize(("has_ppi", "told"), [(True, "the firmware was asked to"), (False, "the firmware's setup")])
def test_a_tpm_that_refuses(has_ppi: bool, told: str) -> None:
    """A tenant who has set the lockout password cannot be overruled from here: it is said, and the firmware is asked,
    where it can be. Nobody calls it cleared.
    """
    made = rented(lockout=AUTH_FAILED)
    if has_ppi:
        made.tree.put(PPI, b"0\n")
    job = served(FakeHost.of(made), platform=True)

    assert job.state is JobState.SUCCEEDED and str(job.result["TPM"]).startswith("not cleared")
    assert told in str(job.result["TPM"]) and "0x98e" in str(job.result["TPM"])
    assert not has_ppi or made.tree.entries[PPI] == b"5"


def test_a_tpm_that_lies() -> None:
    """One that says it was cleared, and has its passwords still, is not called so."""
    made = rented()
    made.tpm_cleared = {}

    assert "and has a password of owner, a password of lockout" in str(
        served(FakeHost.of(made), platform=True).result["TPM"]
    )


def test_an_address_that_is_not_its_makers_is_told() -> None:
    """What a NIC's own settings have overridden is theirs to take back: it is said, with both addresses, to the end."""
    host = FakeHost.of(rented())
    mac = "52:54:00:00:00:0a"
    changed = Nic(name="eno1", mac=mac, current_mac="02:00:00:00:00:01")
    as_made = Nic(name="eno2", mac=mac, current_mac=mac.upper())
    found = leftovers(host, take(host).model_copy(update={"nics": (changed, as_made)}))

    assert found.notes == (f"NIC eno1: its address is 02:00:00:00:00:01, its maker's is {mac}: see its own settings",)


class Keeping(FakeEfi):
    """Firmware that says it has removed a variable, and has it still."""

    def remove(self, name: str) -> None:
        """Not at all."""


def test_a_boot_that_stays_ordered_is_a_failure() -> None:
    """The next tenant's machine would boot what this one chose."""
    made = rented()
    host = FakeHost.of(made)
    with pytest.raises(DeviceError, match="removing BootNext: the firmware has kept it"):
        reset_platform(replace(host, efi=Keeping(made, host.faults)), ResetPlatform(boot_next=True))


@pytest.mark.parametrize("left", [b"0\n", b"2\n"])
def test_virtual_functions_that_stay_are_told(left: bytes) -> None:
    """A driver that takes the order and keeps them."""
    made = rented()
    host = FakeHost.of(made)

    class Stubborn(FakeFiles):
        """It has so many whatever it is told."""

        def tell(self, path: str, text: str) -> None:
            """And keeps them."""
            made.tree.put(path, left)

    done = reset_platform(replace(host, files=Stubborn(made, host.faults)), ResetPlatform(functions=("eno1",)))
    said = "removed" if left == b"0\n" else "not removed: it still has 2"
    assert done == {"virtual functions of eno1": said}


def test_a_tpm_without_passwords() -> None:
    """An owner need not set any: keys and indices are left all the same, and are cleared; the firmware's own stay."""
    made = rented(owners=0)
    assert made.tpm is not None
    made.tpm |= KEPT
    made.tpm_cleared |= {ask_keys(): listed(0x81800000), ask_indices(): listed(0x01C00002)}

    assert served(FakeHost.of(made), platform=True).result["TPM"] == "cleared"
    assert "TPM" not in served(FakeHost.of(made), 2, platform=True).result


def test_a_tpm_that_keeps_them() -> None:
    """Cleared, and with keys still, it is not called so; nor one that refuses, though nobody has a password."""
    kept, refusing = rented(owners=0), rented(owners=0, lockout=AUTH_FAILED)
    for made in (kept, refusing):
        assert made.tpm is not None
        made.tpm, made.tpm_cleared = made.tpm | KEPT, {}
    said = [str(served(FakeHost.of(made), platform=True).result["TPM"]) for made in (kept, refusing)]

    assert "and has key 0x81000001, key 0x81010001, index 0x01800001" in said[0]
    assert said[1].startswith("not cleared: it refused (0x98e, 0x98e)")


def test_nothing_to_undo() -> None:
    """A machine with a BIOS, without a TPM: the disks are erased, and nothing else is done."""
    made = machine()
    drive(made, NvmeMind)
    plan = Operations(FakeHost.of(made), None, "/s").plan(EraseRequest(request_id="r", node_id="n", platform=True))

    assert [step.kind for step in plan.steps] == ["erase_disks"]


def test_what_cannot_be_looked_at_is_told() -> None:
    """A TPM that does not answer is no reason to keep a machine back, and none to be silent."""
    made = rented()
    made.tpm = {}
    job = served(FakeHost.of(made), platform=True)

    assert job.state is JobState.SUCCEEDED and "TPM: not looked at" in str(job.result["note 1"])


def test_versions_of_firmware_are_certified() -> None:
    """Of the machine and of each drive, to be held against those at the erasure before; and whose machine it is."""
    made = rented()
    drive(made, ScsiMind)
    structures = (firmware("maker", "2.7", "01/02/2026"), product("maker", "box", "M1", "0" * 32))
    made.tree.put("/sys/firmware/dmi/tables/DMI", table(*structures))
    made.tree.put("/sys/firmware/dmi/tables/smbios_entry_point", ENTRY_POINT)
    found = certified(served(FakeHost.of(made)))

    assert found.firmware == {"system": "2.7", "disk D0": "FW1", "disk D1": "FW1"} and found.machine_serial == "M1"
