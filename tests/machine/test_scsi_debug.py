# SPDX-License-Identifier: Apache-2.0
"""SCSI disks that the kernel's own scsi_debug plays, erased by the agent: they answer by the book."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.machine.guest import Guest, booted
from tests.machine.test_erasure import MIB, filled
from tests.machine.test_raid import BOOT_S, put

pytestmark = [pytest.mark.machine, pytest.mark.root]

KERNEL = "console=ttyS0 quiet bms.shell"
DO_S = 900
TRYING = """\
import json, subprocess, sys
sys.path.insert(0, '/usr/lib/bms-agent')
from agent.errors import AgentError
from agent.host.real import host
from agent.host.sense import sanitize_sense
from agent.inventory.disk import disks
from agent.inventory.erasing import abilities
from agent.model.erasing.certificate import IN_RESULT, SignedCertificate
from agent.model.plan import EraseDisks
from agent.model.request import EraseRequest
from agent.operations import Operations
machine = host()
def run(*argv):
    subprocess.run(argv, check=True)
def tried(number, name, case):
    run('insmod', '/usr/lib/debug-modules/scsi_debug.ko', 'dev_size_mb=8', *case['module'])
    run('udevadm', 'settle')
    found = [one for one in disks(machine) if one.model == 'scsi_debug']
    told = {'disks': [[one.path, one.serial, one.wwn, one.read_only, one.logical_sector_bytes] for one in found]}
    sense = [sanitize_sense(machine.drives, one.path) for one in found]
    told['sense'] = [str(one) for one in sense]
    told['able'] = [str(one) for one in abilities(machine, found).values()]
    try:
        doer = Operations(machine, 'ramdisk', '/run/trying/spool')
        request = EraseRequest(request_id=f'r{number}', node_id='n1', quarantine=True, method=case['method'])
        (step,) = doer.plan(request).steps
        result = doer.do(step, lambda *_: None)
    except AgentError as error:
        told['error'], result = str(error), error.found or {}
    if IN_RESULT in result:
        signed = SignedCertificate.model_validate_json(result[IN_RESULT])
        told['erased'] = {one.path: json.loads(one.model_dump_json()) for one in signed.opened().disks}
    told['stat'] = {one.path: open(f'/sys/block/{one.name}/stat').read().split() for one in found}
    run('udevadm', 'settle')
    run('rmmod', 'scsi_debug')
    print('told', json.dumps([name, told]), flush=True)
for number, (name, case) in enumerate(json.load(open('/run/cases.json')).items()):
    tried(number, name, case)
"""
CASES: dict[str, dict[str, Any]] = {
    "by the book": {"module": [], "method": "secure"},
    "with descriptors": {"module": ["dsense=1"], "method": "secure"},
    "large sectors": {"module": ["sector_size=4096"], "method": "secure"},
    "guarded sectors": {"module": ["dif=1", "dix=1"], "method": "secure"},
    "thin": {"module": ["lbpu=1", "lbpws=1", "lbprz=1"], "method": "secure"},
    "thin, and not zero": {"module": ["lbpu=1", "lbpws=1", "lbprz=2"], "method": "secure"},
    "only a hint": {"module": ["lbpu=1", "lbprz=1"], "method": "discard"},
    "keeps nothing": {"module": ["fake_rw=1"], "method": "secure"},
    "bad places": {"module": ["opts=2", "medium_error_start=8", "medium_error_count=4"], "method": "secure"},
    "write-protected": {"module": ["wp=1"], "method": "secure"},
    "two paths": {"module": ["add_host=2", "vpd_use_hostno=0"], "method": "secure"},
    "two disks of one name": {
        "module": ["add_host=2", "vpd_use_hostno=0", "per_host_store=1"], "method": "secure"},
}  # fmt: skip


def shell(guest: Guest) -> None:
    """Without the resident agent."""
    guest.wait_for("# ", BOOT_S)
    guest.do("systemctl stop bms-agent-ramdisk", DO_S)


@contextmanager
def debugged(folder: Path, ramdisk: Path, disk_bytes: int) -> Iterator[Guest]:
    """A guest with a disk of a tenant's, and modules beside the ramdisk's own."""
    kernel = json.loads((ramdisk / "manifest.json").read_text())["kernel"]
    script = Path(__file__).parent / "debug-modules"
    built = subprocess.run([script, f"linux-image-{kernel}"], stdout=subprocess.PIPE, text=True, check=True)
    initrd, disk = folder / "initrd", filled(folder / "S1")
    os.truncate(disk, disk_bytes)
    first, more = (ramdisk / "initrd").read_bytes(), Path(built.stdout.split()[-1], "more.cpio").read_bytes()
    initrd.write_bytes(first + bytes(-len(first) % 4) + more)  # aligned (init/initramfs.c)
    words = ["-kernel", str(ramdisk / "vmlinuz"), "-initrd", str(initrd), "-append", KERNEL]
    with booted(folder / "guest", disk, *words) as guest:
        shell(guest)
        yield guest


@pytest.fixture(scope="module")
def told(ramdisk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of each of scsi_debug's disks, in one guest."""
    found: dict[str, Any] = {}
    with debugged(tmp_path_factory.mktemp("scsi"), ramdisk, 8 * MIB) as guest:
        put(guest, "/run/trying.py", TRYING)
        put(guest, "/run/cases.json", json.dumps(CASES))
        said = guest.do("python3 /run/trying.py 2>&1", 3 * DO_S)
        for line in said.splitlines():
            if line.startswith("told "):
                name, facts = json.loads(line.removeprefix("told "))
                found[name] = facts
        assert found.keys() == CASES.keys(), said
        guest.type("poweroff -f\n")
        guest.wait_for_end(BOOT_S)
    return found


def outcomes(facts: dict[str, Any]) -> list[str]:
    """Of scsi_debug's disks, by their paths."""
    return [one["outcome"] for path, one in sorted(facts["erased"].items()) if path.startswith("/dev/sd")]


@pytest.mark.parametrize("name", ["by the book", "with descriptors", "large sectors", "thin", "thin, and not zero"])
def test_a_disk_by_the_book_is_erased(told: dict[str, Any], name: str) -> None:
    """Whatever its sense's format, its sectors, and what it gives for what it does not hold. It says that it has no
    SANITIZE, is zeroed, and every canary was on it and is gone.
    """
    facts = told[name]
    (one,) = (one for path, one in facts["erased"].items() if path.startswith("/dev/sd"))

    assert facts["sense"] == ["ready, no sanitize under way"] and facts["able"][0].startswith("means=() notes=()")
    assert (one["outcome"], one["means"], one["nist"]) == ("erased", "zero", "clear"), one
    assert one["samples"]["canaries"] == one["samples"]["zero"] == one["samples"]["read"] > 0
    assert facts["disks"][0][4] == (4096 if name == "large sectors" else 512)


def test_one_that_cannot_be_read_back_is_not_called_erased(told: dict[str, Any]) -> None:
    """Its sectors have guards, which scsi_debug leaves wrong where it is told to write the same everywhere: the disk is
    set apart by its serial, and the machine's other one is erased.
    """
    facts = told["guarded sectors"]
    (one,) = (one for path, one in facts["erased"].items() if path.startswith("/dev/sd"))

    assert (one["outcome"], one["nist"]) == ("unproven", "none") and "could not be read back" in one["evidence"]
    assert facts["erased"]["/dev/vda"]["outcome"] == "erased"


@pytest.mark.parametrize("name", ["only a hint", "keeps nothing", "bad places", "write-protected"])
def test_one_that_is_not_proven_is_not_called_erased(told: dict[str, Any], name: str) -> None:
    """It was only given a hint, takes orders and does nothing, has bad places, or cannot be written: it is set apart by
    its serial, and the machine's other disk is erased.
    """
    facts = told[name]

    assert facts["erased"]["/dev/vda"]["outcome"] == ("erased" if name != "only a hint" else "unproven"), facts
    assert outcomes(facts)[0] in ("unproven", "failed"), facts


def test_two_paths_of_its_are_one_disk(told: dict[str, Any]) -> None:
    """Two adapters that show one store are found out by a mark, and it is erased once; two stores of one name twice."""
    paths, disks = told["two paths"], told["two disks of one name"]
    names = [{(serial, wwn) for _, serial, wwn, *_ in facts["disks"]} for facts in (paths, disks)]
    another = [
        ["another path" in one["evidence"] for path, one in sorted(facts["erased"].items()) if "sd" in path]
        for facts in (paths, disks)
    ]

    assert outcomes(paths) == outcomes(disks) == ["erased", "erased"] and [len(one) for one in names] == [1, 1]
    assert another == [[False, True], [False, False]]
