# SPDX-License-Identifier: Apache-2.0
"""What a tenant may have left beside disks: boot entries, BootNext, the TPM's owner, virtual functions."""

from __future__ import annotations

import struct

import pytest

from agent.host.fake import FakeHost, Machine
from agent.host.fake.erasing import NvmeMind
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
from agent.model.request import EraseRequest
from agent.operations import Operations
from agent.plan.text import text
from tests.apply import test_boot
from tests.apply.erasable import drive, machine, served

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
